#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <omni/region.h>
#include <omni/segment.h>

#include "problem.h"

#define PCI_DEVICES "/sys/bus/pci/devices/"

enum {
    PCI_SLOT_BYTES = 12,   /* 0000:00:04.0 */
    PCI_DEVICE_BYTES = 64, /* of its folder's path */
    DOORBELL_BYTES = 256,  /* of registers, at least */
    MODE_EVERYBODY_LOOKS = 0644
};

static const char *const prefixes[] = {
    [OMNI_FILE_SEGMENT] = "omni.",           [OMNI_FILE_LOCK] = "omni-lock.",
    [OMNI_FILE_SLEEPERS] = "omni-sleepers.", [OMNI_FILE_STEP] = "omni-step.",
    [OMNI_FILE_NEW] = "omni-new.",
};

static bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool omni_name_is_valid(const char *name) {
    size_t length = strnlen(name, OMNI_NAME_BYTES);
    if (length == 0 || length == OMNI_NAME_BYTES || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_character(name[i]))
            return false;
    return true;
}

const char *omni_name_of_file(const char *file_name) {
    size_t length = strlen(prefixes[OMNI_FILE_SEGMENT]);
    if (strncmp(file_name, prefixes[OMNI_FILE_SEGMENT], length) != 0)
        return NULL;
    return omni_name_is_valid(file_name + length) ? file_name + length : NULL;
}

/* Whether a file of that name belongs to a name of one kernel's. */
static bool is_companion(const char *file_name) {
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(file_name, prefixes[i], length) == 0 && omni_name_is_valid(file_name + length))
            return true;
    }
    return false;
}

int omni_region_path(char path[OMNI_PATH_BYTES], const char *directory, enum omni_file which,
                     const char *name) {
    char made[OMNI_PATH_BYTES];
    if (!omni_name_is_valid(name))
        return -EINVAL;
    int length =
        snprintf(made, sizeof made, "%s/%s%s",
                 directory != NULL ? directory : OMNI_DIRECTORY_DEFAULT, prefixes[which], name);
    if (length < 0 || (size_t)length >= sizeof made)
        return -ENAMETOOLONG;
    memcpy(path, made, (size_t)length + 1);
    return 0;
}

/* ---- addresses ---- */

static int wrong_address(const char *text, const char *form, struct omni_problem *problem) {
    return omni_problem(problem, -EINVAL, "\"%.80s\" is no address: write %s", text, form);
}

static int parse_shm(struct omni_address *address, const char *rest, struct omni_problem *problem) {
    if (strchr(rest, '/') != NULL)
        return omni_problem(problem, -EINVAL, "%.120s is a path: write file:%.120s", rest, rest);
    if (!omni_name_is_valid(rest))
        return omni_problem(problem, -EINVAL,
                            "\"%.64s\" cannot name a source: use 1 to %u of A-Z a-z 0-9 . _ - and "
                            "no dot in front",
                            rest, OMNI_NAME_BYTES - 1);
    (void)snprintf(address->path, sizeof address->path, "%s", rest);
    return 0;
}

static int parse_file(struct omni_address *address, const char *rest,
                      struct omni_problem *problem) {
    if (rest[0] == '\0')
        return wrong_address(address->text, "file:PATH, for example file:/dev/shm/robot.region",
                             problem);
    (void)snprintf(address->path, sizeof address->path, "%s", rest);
    return 0;
}

/* A number, decimal or 0x, and a unit where `units`. Returns where it ends; NULL: it is none. */
static const char *parse_number(const char *text, bool units, uint64_t *value) {
    static const struct {
        const char *text;
        unsigned shift;
    } known[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    char *end;
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (text[0] < '0' || text[0] > '9')
        return NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, hexadecimal ? 16 : 10);
    if (errno != 0 || (hexadecimal && end <= text + 2))
        return NULL;
    for (size_t i = 0; units && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(end, known[i].text) == 0 && number <= UINT64_MAX >> known[i].shift) {
            number <<= known[i].shift;
            end += strlen(end);
        }
    *value = number;
    return end;
}

static int parse_devmem(struct omni_address *address, const char *rest,
                        struct omni_problem *problem) {
    static const char form[] = "devmem:ADDRESS+LENGTH, for example devmem:0xfe000000+1MiB";
    const char *end = parse_number(rest, false, &address->offset);
    if (end != NULL)
        end = *end == '+' ? parse_number(end + 1, true, &address->length) : NULL;
    if (end == NULL || *end != '\0' || address->length == 0 || address->length > INT64_MAX ||
        address->offset > INT64_MAX - address->length)
        return wrong_address(address->text, form, problem);
    (void)snprintf(address->path, sizeof address->path, "/dev/mem");
    return 0;
}

/* As lspci -D says it. */
static bool is_slot(const char *text) {
    static const char pattern[] = "xxxx:xx:xx.7";
    for (size_t i = 0; i < PCI_SLOT_BYTES; i++) {
        bool fits = pattern[i] == 'x'   ? strchr("0123456789abcdef", text[i]) != NULL
                    : pattern[i] == '7' ? text[i] >= '0' && text[i] <= '7'
                                        : text[i] == pattern[i];
        if (text[i] == '\0' || !fits)
            return false;
    }
    return true;
}

static int parse_pci(struct omni_address *address, const char *rest, struct omni_problem *problem) {
    const char *resource = is_slot(rest) ? rest + PCI_SLOT_BYTES : "";
    if (strcmp(resource, "/resource2") != 0 && strcmp(resource, "/resource2_wc") != 0)
        return wrong_address(address->text,
                             "pci:SLOT/resource2 or pci:SLOT/resource2_wc, SLOT as lspci -D says "
                             "it: pci:0000:00:04.0/resource2",
                             problem);
    (void)snprintf(address->path, sizeof address->path, PCI_DEVICES "%s", rest);
    return 0;
}

struct place {
    const char *prefix;
    int (*parse)(struct omni_address *address, const char *rest, struct omni_problem *problem);
};

static const struct place places[] = {[OMNI_PLACE_SHM] = {"shm:", parse_shm},
                                      [OMNI_PLACE_FILE] = {"file:", parse_file},
                                      [OMNI_PLACE_DEVMEM] = {"devmem:", parse_devmem},
                                      [OMNI_PLACE_PCI] = {"pci:", parse_pci}};
enum { PLACES = sizeof places / sizeof places[0] };

/* Where `text` begins with no prefix that is known: PLACES. */
static size_t place_of(const char *text) {
    size_t place = 0;
    if (strchr(text, ':') == NULL)
        return OMNI_PLACE_SHM;
    while (place < PLACES && strncmp(text, places[place].prefix, strlen(places[place].prefix)) != 0)
        place++;
    return place;
}

int omni_address_parse(struct omni_address *address, const char *text,
                       struct omni_problem *problem) {
    struct omni_address made = {.length = 0};
    size_t place = place_of(text);
    if (place == PLACES)
        return wrong_address(text,
                             "NAME, shm:NAME, file:PATH, devmem:ADDRESS+LENGTH or "
                             "pci:SLOT/resource2",
                             problem);
    const char *prefix = places[place].prefix;
    const char *rest = strchr(text, ':') == NULL ? text : text + strlen(prefix);
    int length = snprintf(made.text, sizeof made.text, "%s%s", prefix, rest);
    if (length < 0 || (size_t)length >= sizeof made.text)
        return omni_problem(problem, -EINVAL, "%.40s...: the address is too long", text);
    made.place = (enum omni_place)place;
    int error = places[place].parse(&made, rest, problem);
    if (error == 0)
        *address = made;
    return error;
}

/* ---- files ---- */

/* Maps `size` bytes of an open file, which belongs to the region from then on. */
static int map(struct omni_region *region, int file, size_t size, int protection, int flags) {
    void *bytes = mmap(NULL, size, protection, MAP_SHARED | flags, file, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *region = (struct omni_region){bytes, size, file};
    return 0;
}

/* A robot's interval timer must not make its start fail. */
static int allocate(int file, size_t size) {
    int error;
    do
        error = -posix_fallocate(file, 0, (off_t)size);
    while (error == -EINTR);
    return error;
}

int omni_region_create(struct omni_region *region, const char *path, size_t size) {
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return -errno;
    int error = allocate(file, size);
    if (error == 0)
        error = map(region, file, size, PROT_READ | PROT_WRITE, MAP_POPULATE);
    if (error < 0) {
        unlink(path);
        close(file);
    }
    return error;
}

static bool is_trusted(uid_t owner, const uid_t *trusted, size_t trusted_count) {
    if (owner == 0 || owner == geteuid())
        return true;
    for (size_t i = 0; i < trusted_count; i++)
        if (trusted[i] == owner)
            return true;
    return false;
}

static int check_size(const struct stat *facts) {
    if (facts->st_size < (off_t)sizeof(struct omni_header))
        return -ENODATA;
    return (uint64_t)facts->st_size > OMNI_SEGMENT_BYTES_MAX ? -EFBIG : 0;
}

int omni_region_open(struct omni_region *region, const char *path, const uid_t *trusted,
                     size_t trusted_count, uid_t *owner) {
    struct stat facts;
    /* Non-blocking: opening a pipe that somebody put here must not wait for its writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return -errno;
    int error = fstat(file, &facts) < 0 ? -errno : 0;
    if (error == 0 && !S_ISREG(facts.st_mode))
        error = -EINVAL;
    if (error == 0) {
        *owner = facts.st_uid;
        error = is_trusted(facts.st_uid, trusted, trusted_count) ? check_size(&facts) : -EPERM;
    }
    if (error == 0)
        error = map(region, file, (size_t)facts.st_size, PROT_READ, 0);
    if (error < 0)
        close(file);
    return error;
}

/* ---- regions between machines ---- */

/* A word of a PCI device's, or the number in such a file. */
static bool says(const char device[PCI_DEVICE_BYTES], const char *file_name, const char *content) {
    char path[OMNI_PATH_BYTES];
    char text[16] = "";
    (void)snprintf(path, sizeof path, "%.*s/%s", PCI_DEVICE_BYTES, device, file_name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool same = read(file, text, sizeof text - 1) > 0 && strcmp(text, content) == 0;
    close(file);
    return same;
}

static bool is_ivshmem(const char device[PCI_DEVICE_BYTES]) {
    return says(device, "vendor", "0x1af4\n") && says(device, "device", "0x1110\n");
}

static void device_of(const struct omni_address *address, char device[PCI_DEVICE_BYTES]) {
    (void)snprintf(device, PCI_DEVICE_BYTES, "%.*s", (int)(strlen(PCI_DEVICES) + PCI_SLOT_BYTES),
                   address->path);
}

/* What is mapped here gets written to: another device's registers must not be. Before it is opened,
 * and before it is switched on. */
static int check_pci(const struct omni_address *address, struct omni_problem *problem) {
    char device[PCI_DEVICE_BYTES];
    char driver[OMNI_PATH_BYTES];
    device_of(address, device);
    (void)snprintf(driver, sizeof driver, "%s/driver", device);
    if (access(device, F_OK) < 0)
        return omni_problem(problem, -ENOENT,
                            "there is no %s: lspci -D lists what this machine has", device);
    if (!is_ivshmem(device))
        return omni_problem(problem, -EINVAL,
                            "%s is no shared memory: lspci -Dnn shows ivshmem devices as 1af4:1110",
                            device);
    if (access(driver, F_OK) == 0)
        return omni_problem(problem, -EINVAL,
                            "%s belongs to a driver of the kernel's: unbind it first "
                            "(docs/regions.md)",
                            device);
    return 0;
}

static int switch_on(const char *path) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    ssize_t written = write(file, "1", 1);
    int error = written == 1 ? 0 : written < 0 ? -errno : -EIO;
    close(file);
    return error;
}

/* A BAR answers only while its device is switched on; each writing of 1 is counted by the kernel. */
static int enable_pci(const struct omni_address *address) {
    char device[PCI_DEVICE_BYTES];
    char path[OMNI_PATH_BYTES];
    device_of(address, device);
    (void)snprintf(path, sizeof path, "%s/enable", device);
    return says(device, "enable", "0\n") ? switch_on(path) : 0;
}

/* Whoever may make the file publishes in it, and has nobody to trust. */
static int explain_owner(const char *path, const struct omni_region_options *options,
                         struct omni_problem *problem) {
    long owner = (long)options->owner;
    if (options->bytes_if_missing > 0)
        return omni_problem(problem, -EPERM,
                            "%.120s belongs to user %ld: publish in another file, or remove it",
                            path, owner);
    return omni_problem(problem, -EPERM,
                        "%.100s belongs to user %ld, who is not trusted: trust that user "
                        "(omni-observer --trust %ld, or OMNI_TRUST=%ld), or remove the file",
                        path, owner, owner, owner);
}

static int explain(int error, const struct omni_address *address,
                   const struct omni_region_options *options, struct omni_problem *problem) {
    static const char *const missing[] = {
        [OMNI_PLACE_FILE] = "is its publisher running?",
        [OMNI_PLACE_DEVMEM] = "this machine does not give its memory away",
        [OMNI_PLACE_PCI] = "lspci -D lists what this machine has",
    };
    const char *path = address->path;
    bool device = address->place != OMNI_PLACE_FILE;
    switch (error) {
    case -ENOENT:
        if (!device && options->bytes_if_missing > 0)
            return omni_problem(problem, error, "cannot make %.160s: there is no such folder",
                                path);
        return omni_problem(problem, error, "there is no %.160s: %s", path,
                            missing[address->place]);
    case -EACCES:
    case -EPERM:
        if (device)
            return omni_problem(problem, -EPERM,
                                "%.100s may not be opened by this user: run this as root, or give "
                                "the user access (docs/regions.md)",
                                path);
        if (error == -EACCES)
            return omni_problem(problem, -EPERM, "%.160s may not be opened by this user", path);
        return explain_owner(path, options, problem);
    case -EINVAL:
    case -ELOOP:
        return omni_problem(problem, error,
                            device ? "%.100s cannot be mapped there: address and length are "
                                     "multiples of a page"
                                   : "%.160s is a link, a directory, a pipe or a device, not a "
                                     "region",
                            path);
    case -ENODATA:
        return omni_problem(problem, error, "%.160s is too small for a status segment", path);
    case -EAGAIN:
        return omni_problem(problem, error, "nothing has been published there yet");
    case -EMEDIUMTYPE:
        return omni_problem(problem, -EOPNOTSUPP,
                            "%.100s lies on a disk or another machine's share, not in memory: "
                            "choose a file in /dev/shm",
                            path);
    case -ENOSPC:
        return omni_problem(problem, error, "no room for %llu bytes at %.120s: free some",
                            (unsigned long long)options->bytes_if_missing, path);
    default:
        return omni_problem(problem, error, "cannot open %.120s: %s", path, strerror(-error));
    }
}

/* O_SYNC: what goes to a device must not be kept in a cache that the other side does not see. */
static int open_device(const struct omni_address *address, int access) {
    int error = address->place == OMNI_PLACE_PCI ? enable_pci(address) : 0;
    if (error < 0)
        return error;
    int file = open(address->path, access | O_SYNC | O_CLOEXEC | O_NOFOLLOW);
    return file < 0 ? -errno : file;
}

/* A disk's file makes its writer wait for the disk now and then, and what another machine has mapped
 * of a mount is not the same memory. */
static int check_is_memory(int file) {
    static const unsigned long memory[] = {TMPFS_MAGIC, HUGETLBFS_MAGIC, RAMFS_MAGIC};
    struct statfs facts;
    if (fstatfs(file, &facts) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        if (((unsigned long)facts.f_type & UINT32_MAX) == memory[i])
            return 0;
    return -EMEDIUMTYPE;
}

/* Huge pages come whole: a mapping of a part of one is as long as the page, and can only be taken away,
 * or covered by the guard, at that length. */
static int whole_pages(int file, uint64_t *bytes) {
    struct statfs facts;
    if (fstatfs(file, &facts) < 0)
        return -errno;
    if (((unsigned long)facts.f_type & UINT32_MAX) != HUGETLBFS_MAGIC)
        return 0;
    uint64_t page = (uint64_t)facts.f_bsize;
    *bytes = (*bytes + page - 1) / page * page;
    return 0;
}

static int allocate_pages(int file, uint64_t *bytes) {
    int error = whole_pages(file, bytes);
    return error == 0 ? allocate(file, (size_t)*bytes) : error;
}

/* Under another name until it is whole: who comes meanwhile, and whoever comes after a crash, finds
 * either no file or a good one. */
static int make_file(const struct omni_address *address,
                     const struct omni_region_options *options) {
    char path[OMNI_PATH_BYTES + 8];
    (void)snprintf(path, sizeof path, "%s.XXXXXX", address->path);
    int file = mkostemp(path, O_CLOEXEC);
    if (file < 0)
        return -errno;
    uint64_t bytes = options->bytes_if_missing;
    int error = check_is_memory(file);
    if (error == 0)
        error = allocate_pages(file, &bytes);
    if (error == 0 && fchmod(file, options->mode != 0 ? options->mode : MODE_EVERYBODY_LOOKS) < 0)
        error = -errno;
    if (error == 0 && renameat2(AT_FDCWD, path, AT_FDCWD, address->path, RENAME_NOREPLACE) < 0)
        error = -errno;
    if (error < 0)
        unlink(path);
    close(file);
    return error;
}

/* Two steps instead of O_CREAT: a file that is there may be another user's in a sticky directory,
 * where the kernel refuses O_CREAT. */
static int open_file(const struct omni_address *address, int access,
                     const struct omni_region_options *options) {
    int file = open(address->path, access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file >= 0)
        return file;
    if (errno != ENOENT || options->bytes_if_missing == 0)
        return -errno;
    int error = make_file(address, options);
    /* Mine or, where another was faster, its. */
    if (error == 0 || error == -EEXIST)
        return open_file(address, access, &(struct omni_region_options){0});
    return error;
}

/* Somebody made it and died, or touched it: as good as none. */
static int fill_empty(int file, const struct omni_region_options *options, uint64_t *bytes) {
    if (options->bytes_if_missing == 0)
        return -EAGAIN;
    uint64_t made = options->bytes_if_missing;
    int error = allocate_pages(file, &made);
    if (error == 0)
        *bytes = made;
    return error;
}

/* Whose file it is counts for files only: a device is the administrator's to give. */
static int check_file(int file, const struct omni_address *address, enum omni_access access,
                      struct omni_region_options *options, uint64_t *bytes) {
    struct stat facts;
    if (fstat(file, &facts) < 0)
        return -errno;
    options->owner = facts.st_uid;
    *bytes = address->length > 0 ? address->length : (uint64_t)facts.st_size;
    if (address->place == OMNI_PLACE_FILE && !S_ISREG(facts.st_mode))
        return -EINVAL;
    /* Root may write what it likes, but what it reads is somebody's word. */
    bool trusted = address->place != OMNI_PLACE_FILE ||
                   is_trusted(facts.st_uid, options->trusted, options->trusted_count) ||
                   (access == OMNI_ACCESS_WRITE && geteuid() == 0);
    if (!trusted)
        return -EPERM;
    int error = 0;
    if (address->place == OMNI_PLACE_FILE && access == OMNI_ACCESS_WRITE)
        error = check_is_memory(file);
    if (error == 0 && address->place == OMNI_PLACE_FILE && *bytes == 0)
        error = fill_empty(file, options, bytes);
    if (error == 0 && *bytes < sizeof(struct omni_header))
        error = -ENODATA;
    return error;
}

static int map_shared(struct omni_region *region, int file, const struct omni_address *address,
                      enum omni_access access, struct omni_region_options *options) {
    uint64_t bytes = 0;
    int error = check_file(file, address, access, options, &bytes);
    if (error < 0)
        return error;
    if (access == OMNI_ACCESS_BELL)
        bytes = sizeof(struct omni_header);
    if (bytes > OMNI_SEGMENT_BYTES_MAX)
        bytes = OMNI_SEGMENT_BYTES_MAX;
    error = whole_pages(file, &bytes);
    if (error < 0)
        return error;
    int protection = access == OMNI_ACCESS_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    void *mapped = mmap(NULL, (size_t)bytes, protection, MAP_SHARED, file, (off_t)address->offset);
    if (mapped == MAP_FAILED)
        return -errno;
    *region = (struct omni_region){mapped, (size_t)bytes, file};
    return 0;
}

/* An empty one (a lock, a segment not yet there) would be taken for a region that is. */
static int check_name(const struct omni_address *address, struct omni_problem *problem) {
    const char *slash = strrchr(address->path, '/');
    const char *name = slash != NULL ? slash + 1 : address->path;
    if (address->place != OMNI_PLACE_FILE || !is_companion(name))
        return 0;
    return omni_problem(problem, -EINVAL,
                        "%.100s has a name that only a source of one kernel gives to its files: "
                        "choose another (file:/dev/shm/robot.region), or leave the region out",
                        address->path);
}

int omni_region_open_shared(struct omni_region *region, const struct omni_address *address,
                            enum omni_access access, struct omni_region_options *options,
                            struct omni_problem *problem) {
    struct omni_region_options how = *options;
    int error = address->place == OMNI_PLACE_PCI ? check_pci(address, problem) : 0;
    if (error == 0 && access == OMNI_ACCESS_WRITE)
        error = check_name(address, problem);
    if (error < 0)
        return error;
    if (access != OMNI_ACCESS_WRITE)
        how.bytes_if_missing = 0;
    int flags = access == OMNI_ACCESS_READ ? O_RDONLY : O_RDWR;
    int file = address->place == OMNI_PLACE_FILE ? open_file(address, flags, &how)
                                                 : open_device(address, flags);
    error = file < 0 ? file : map_shared(region, file, address, access, &how);
    options->owner = how.owner;
    if (error < 0 && file >= 0)
        close(file);
    return error < 0 ? explain(error, address, &how, problem) : 0;
}

int omni_region_reserve(const struct omni_region *region, const struct omni_address *address,
                        size_t bytes) {
    if (address->place != OMNI_PLACE_FILE)
        return 0;
    int error;
    /* Not posix_fallocate(): where the file system does not know it, that one writes. */
    do
        error = fallocate(region->file, 0, 0, (off_t)bytes) < 0 ? -errno : 0;
    while (error == -EINTR);
    if (error == -EOPNOTSUPP)
        error = 0;
    /* An older kernel does not know it: then the first tick of each page takes a fault. */
    if (error == 0)
        (void)madvise(region->bytes, bytes, MADV_POPULATE_WRITE);
    return error;
}

int omni_region_open_doorbell(struct omni_region *region, const struct omni_address *address) {
    char device[PCI_DEVICE_BYTES];
    char path[OMNI_PATH_BYTES];
    struct stat facts;
    if (address->place != OMNI_PLACE_PCI)
        return -EOPNOTSUPP;
    device_of(address, device);
    if (!is_ivshmem(device))
        return -EOPNOTSUPP;
    (void)snprintf(path, sizeof path, "%s/resource0", device);
    int file = open(path, O_RDWR | O_SYNC | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return errno == ENOENT ? -EOPNOTSUPP : -errno;
    int error = fstat(file, &facts) < 0 ? -errno : 0;
    if (error == 0 && facts.st_size < DOORBELL_BYTES)
        error = -EOPNOTSUPP;
    if (error == 0)
        error = map(region, file, DOORBELL_BYTES, PROT_READ | PROT_WRITE, 0);
    if (error < 0)
        close(file);
    return error;
}

/* ---- on one kernel ---- */

int omni_region_open_word(struct omni_region *region, const char *path, bool create) {
    struct stat facts;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0);
    int file = open(path, flags, 0600);
    if (file < 0)
        return errno == EACCES ? -EPERM : -errno;
    int error = fstat(file, &facts) < 0 ? -errno : 0;
    /* Who may write this file may also truncate it under the publisher: only its own user may. */
    bool mine = error == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & 022) == 0 &&
                (facts.st_uid == geteuid() || (!create && geteuid() == 0));
    if (error == 0 && !mine)
        error = -EPERM;
    if (error == 0)
        error = allocate(file, OMNI_CACHE_LINE_BYTES);
    if (error == 0)
        error = map(region, file, OMNI_CACHE_LINE_BYTES, PROT_READ | PROT_WRITE, MAP_POPULATE);
    if (error < 0)
        close(file);
    return error;
}

int omni_region_move(struct omni_region *region, void *address) {
    void *bytes =
        mremap(region->bytes, region->size, region->size, MREMAP_MAYMOVE | MREMAP_FIXED, address);
    if (bytes == MAP_FAILED)
        return -errno;
    region->bytes = bytes;
    return 0;
}

bool omni_region_is_orphan(const struct omni_region *region) {
    struct stat facts;
    return fstat(region->file, &facts) == 0 && facts.st_nlink == 0;
}

void omni_region_close(struct omni_region *region) {
    if (region == NULL || region->bytes == NULL)
        return;
    munmap(region->bytes, region->size);
    close(region->file);
    *region = OMNI_REGION_CLOSED;
}
