#include "assets.h"

#include <string.h>

#include <assets.h> /* the list, from the build folder: not the header above */

#define INCLUDE_BYTES(symbol, file)                                                                \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 8\n"                                                                          \
            ".global " symbol "\n"                                                                 \
            ".hidden " symbol "\n" symbol ":\n"                                                    \
            ".incbin \"" file "\"\n"                                                               \
            ".global " symbol "_end\n"                                                             \
            ".hidden " symbol "_end\n" symbol "_end:\n"                                            \
            ".previous\n");
#define HIDDEN extern const unsigned char __attribute__((visibility("hidden")))

#define INCLUDE(number, path, type, file, gzip, etag)                                              \
    INCLUDE_BYTES("asset_" #number, file) INCLUDE_BYTES("asset_" #number "_gzip", gzip)
#define DECLARE(number, path, type, file, gzip, etag)                                              \
    HIDDEN asset_##number[], asset_##number##_end[], asset_##number##_gzip[],                      \
        asset_##number##_gzip_end[];
#define ENTRY(number, path, type, file, gzip, etag)                                                \
    {path,                                                                                         \
     type,                                                                                         \
     etag,                                                                                         \
     {asset_##number, asset_##number##_end},                                                       \
     {asset_##number##_gzip, asset_##number##_gzip_end}},

ASSETS(INCLUDE)
ASSETS(DECLARE)

static const struct asset assets[] = {ASSETS(ENTRY){NULL, NULL, NULL, {NULL, NULL}, {NULL, NULL}}};

const struct asset *assets_find(const char *path) {
    for (const struct asset *asset = assets; asset->path; asset++)
        if (strcmp(asset->path, path) == 0)
            return asset;
    return NULL;
}

const struct asset *assets_at(size_t index) {
    return index < sizeof assets / sizeof assets[0] && assets[index].path ? &assets[index] : NULL;
}
