#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni/region.h>
#include <omni/segment.h>

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
