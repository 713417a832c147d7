#include "library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_whole(void *library, const char *const *names) {
    for (; *names != NULL; names++)
        if (dlsym(library, *names) == NULL)
            return false;
    return true;
}

void *library_open(const char *file, const char *const *names, void *functions) {
    char *at = functions;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL && !is_whole(library, names)) {
        library_close(library);
        return NULL;
    }
    for (; library != NULL && *names != NULL; names++) {
        void *function = dlsym(library, *names);
        memcpy(at, &function, sizeof function);
        at += sizeof function;
    }
    return library;
}

void library_close(void *library) {
    if (library != NULL)
        (void)dlclose(library);
}
