#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni/lock.h>

static struct flock one_byte(short type, unsigned byte) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

int omni_lock_take_byte(int file, unsigned byte) {
    struct flock lock = one_byte(F_WRLCK, byte);
    if (fcntl(file, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int omni_lock_is_held_byte(int file, unsigned byte) {
    /* Asks what would stop a reader's lock: only an owner's. */
    struct flock lock = one_byte(F_RDLCK, byte);
    if (fcntl(file, F_OFD_GETLK, &lock) < 0)
        return -errno;
    return lock.l_type != F_UNLCK;
}

int omni_lock_drop_byte(int file, unsigned byte) {
    struct flock lock = one_byte(F_UNLCK, byte);
    return fcntl(file, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* The first byte of the file stands for the whole. */
int omni_lock_take(int file) {
    return omni_lock_take_byte(file, 0);
}

int omni_lock_is_held(int file) {
    return omni_lock_is_held_byte(file, 0);
}

static int write_process_id(int file) {
    char text[24];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(file, 0) < 0 || pwrite(file, text, (size_t)length, 0) != length)
        return -errno;
    return 0;
}

int omni_lock_own(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file < 0 && errno == EACCES) /* another user's file, or a folder that may not be written */
        return access(path, F_OK) == 0 ? -EPERM : -EACCES;
    if (file < 0)
        return -errno;
    struct stat facts;
    int error = fstat(file, &facts) < 0 ? -errno : 0;
    if (error == 0 && (facts.st_uid != geteuid() || !S_ISREG(facts.st_mode)))
        error = -EPERM;
    if (error == 0)
        error = omni_lock_take(file);
    /* Without room for the id the lock still holds; only the other side's message is poorer. */
    if (error == 0 && write_process_id(file) < 0)
        error = 0;
    if (error < 0) {
        close(file);
        return error;
    }
    return file;
}

pid_t omni_lock_owner(const char *path) {
    char text[24] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return 0;
    bool told = omni_lock_is_held(file) == 1 && read(file, text, sizeof text - 1) > 0;
    close(file);
    /* Wider than a process id on every CPU: what is too large stays too large. */
    long long id = told ? strtoll(text, NULL, 10) : 0;
    return id > 0 && id == (pid_t)id ? (pid_t)id : 0;
}
