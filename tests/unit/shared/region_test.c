/* Names, files and mappings. */
#include "support.h"

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <omni/region.h>

#define NOBODY 65534

static void names_are_checked(void **state) {
    (void)state;
    assert_true(omni_name_is_valid("a"));
    assert_true(omni_name_is_valid("Robot-7_b.2"));
    assert_true(omni_name_is_valid("x2345678901234567890123456789012345678901234567"));
    assert_false(omni_name_is_valid("x23456789012345678901234567890123456789012345678"));
    assert_false(omni_name_is_valid(""));
    assert_false(omni_name_is_valid("."));
    assert_false(omni_name_is_valid(".."));
    assert_false(omni_name_is_valid(".a"));
    assert_false(omni_name_is_valid("a/b"));
    for (int c = 1; c < 256; c++) {
        char name[] = {'a', (char)c, '\0'};
        bool valid =
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c) != NULL;
        assert_int_equal(omni_name_is_valid(name), valid);
    }
}

static void segments_are_known_by_their_file(void **state) {
    (void)state;
    assert_string_equal(omni_name_of_file("omni.robot"), "robot");
    assert_string_equal(omni_name_of_file("omni.a.b"), "a.b");
    assert_null(omni_name_of_file("omni."));
    assert_null(omni_name_of_file("omni..x"));
    assert_null(omni_name_of_file("omni"));
    assert_null(omni_name_of_file("omni-lock.robot"));
    assert_null(omni_name_of_file("omni-new.robot"));
    assert_null(omni_name_of_file("xomni.robot"));
}

static void paths_are_made(void **state) {
    char path[OMNI_PATH_BYTES] = "untouched", far[600];
    (void)state;
    memset(far, 'x', sizeof far);
    far[sizeof far - 1] = '\0';
    assert_int_equal(omni_region_path(path, NULL, OMNI_FILE_SEGMENT, "a/b"), -EINVAL);
    assert_int_equal(omni_region_path(path, far, OMNI_FILE_SEGMENT, "a"), -ENAMETOOLONG);
    assert_string_equal(path, "untouched");
    assert_int_equal(omni_region_path(path, NULL, OMNI_FILE_SEGMENT, "a"), 0);
    assert_string_equal(path, "/dev/shm/omni.a");
    assert_int_equal(omni_region_path(path, "/d", OMNI_FILE_LOCK, "a"), 0);
    assert_string_equal(path, "/d/omni-lock.a");
    assert_int_equal(omni_region_path(path, "/d", OMNI_FILE_SLEEPERS, "a"), 0);
    assert_string_equal(path, "/d/omni-sleepers.a");
    assert_int_equal(omni_region_path(path, "/d", OMNI_FILE_NEW, "a"), 0);
    assert_string_equal(path, "/d/omni-new.a");
}

static void created_region_is_zero_and_private(void **state) {
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    struct stat facts;
    scratch_path(*state, "omni-new.a", path, sizeof path);
    write_file(path, "left by a crash", 15);
    assert_int_equal(omni_region_create(&region, path, 10000), 0);
    assert_int_equal(region.size, 10000);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(facts.st_size, 10000);
    assert_true(facts.st_blocks * 512 >= 10000);
    for (size_t i = 0; i < region.size; i++)
        assert_int_equal(region.bytes[i], 0);
    assert_int_equal(fcntl(region.file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_false(omni_region_is_orphan(&region));
    unlink(path);
    assert_true(omni_region_is_orphan(&region));
    omni_region_close(&region);
    assert_null(region.bytes);
    assert_int_equal(region.file, -1);
    omni_region_close(&region);
    omni_region_close(NULL);
}

static int open_one(const char *path, struct omni_region *region, const uid_t *trusted,
                    size_t count) {
    uid_t owner = 0;
    return omni_region_open(region, path, trusted, count, &owner);
}

static void refused(const char *path, int expected) {
    unsigned char byte;
    struct omni_region region = {&byte, 77, 78};
    int before = open_files();
    assert_int_equal(open_one(path, &region, NULL, 0), expected);
    assert_int_equal(open_files(), before);
    assert_ptr_equal(region.bytes, &byte);
    assert_int_equal(region.size, 77);
    assert_int_equal(region.file, 78);
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(file, (struct sockaddr *)&address, sizeof address), 0);
    close(file);
}

static void only_plain_files_are_opened(void **state) {
    static const char zeros[256];
    char path[PATH_MAX], target[PATH_MAX];
    scratch_path(*state, "omni.a", path, sizeof path);
    scratch_path(*state, "target", target, sizeof target);
    refused(path, -ENOENT);
    assert_int_equal(mkfifo(path, 0644), 0); /* would wait for ever, if it waited */
    refused(path, -EINVAL);
    unlink(path);
    assert_int_equal(mkdir(path, 0755), 0);
    refused(path, -EINVAL);
    rmdir(path);
    make_socket(path);
    refused(path, -ENXIO);
    unlink(path);
    write_file(target, zeros, sizeof zeros);
    assert_int_equal(symlink(target, path), 0);
    refused(path, -ELOOP);
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    refused(path, -ELOOP);
}

static void devices_are_not_opened(void **state) {
    SKIP_UNLESS_ROOT();
    char path[PATH_MAX];
    scratch_path(*state, "omni.a", path, sizeof path);
    if (mknod(path, S_IFCHR | 0644, makedev(1, 5)) < 0)
        SKIP_BECAUSE("may not make a device here");
    struct omni_region region = OMNI_REGION_CLOSED;
    int error = open_one(path, &region, NULL, 0);
    /* -EACCES where the file system allows no devices at all. */
    if (error != -EINVAL && error != -EACCES)
        fail_msg("error %d, expected %d or %d", error, -EINVAL, -EACCES);
}

static void sizes_are_bounded(void **state) {
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    scratch_path(*state, "omni.a", path, sizeof path);
    write_file(path, "", 0);
    refused(path, -ENODATA);
    assert_int_equal(truncate(path, 255), 0);
    refused(path, -ENODATA);
    assert_int_equal(truncate(path, 256), 0);
    assert_int_equal(open_one(path, &region, NULL, 0), 0);
    assert_int_equal(region.size, 256);
    omni_region_close(&region);
    assert_int_equal(truncate(path, 1 << 30), 0);
    assert_int_equal(open_one(path, &region, NULL, 0), 0);
    omni_region_close(&region);
    assert_int_equal(truncate(path, (1 << 30) + 1), 0);
    refused(path, -EFBIG);
}

static int write_to_it(void *context) {
    struct omni_region *region = context;
    *(volatile unsigned char *)region->bytes = 1;
    return 0;
}

static void opened_region_cannot_be_written(void **state) {
    static const char zeros[4096];
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    scratch_path(*state, "omni.a", path, sizeof path);
    write_file(path, zeros, sizeof zeros);
    assert_int_equal(open_one(path, &region, NULL, 0), 0);
    assert_int_equal(fcntl(region.file, F_GETFL) & O_ACCMODE, O_RDONLY);
    int status = in_child(write_to_it, &region);
    assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSEGV);
    omni_region_close(&region);
}

static void owners_are_trusted_or_not(void **state) {
    SKIP_UNLESS_ROOT();
    static const char zeros[256];
    const uid_t others[] = {1, 2}, right[] = {1, NOBODY};
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    uid_t owner = 0;
    scratch_path(*state, "omni.a", path, sizeof path);
    write_file(path, zeros, sizeof zeros);
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    assert_int_equal(omni_region_open(&region, path, NULL, 0, &owner), -EPERM);
    assert_int_equal(owner, NOBODY);
    assert_int_equal(omni_region_open(&region, path, others, 2, &owner), -EPERM);
    assert_int_equal(omni_region_open(&region, path, right, 2, &owner), 0);
    omni_region_close(&region);
    /* As nobody: one's own, and root's, and nobody else's. */
    const struct scratch *scratch = *state;
    assert_int_equal(chmod(scratch->directory, 0755), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    int own = omni_region_open(&region, path, NULL, 0, &owner);
    omni_region_close(&region);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(own, 0);
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    int roots = omni_region_open(&region, path, NULL, 0, &owner);
    omni_region_close(&region);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(roots, 0);
    assert_int_equal(chown(path, 1, 1), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    int strangers = omni_region_open(&region, path, NULL, 0, &owner);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(strangers, -EPERM);
    assert_int_equal(owner, 1);
}

static void unreadable_file_is_told(void **state) {
    SKIP_UNLESS_ROOT();
    static const char zeros[256];
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    scratch_path(scratch, "omni.a", path, sizeof path);
    write_file(path, zeros, sizeof zeros);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(scratch->directory, 0755), 0);
    struct omni_region region = OMNI_REGION_CLOSED;
    assert_int_equal(seteuid(NOBODY), 0);
    int error = open_one(path, &region, NULL, 0);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, -EACCES);
}

static void word_file_belongs_to_its_user(void **state) {
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    struct stat facts;
    scratch_path(scratch, "omni-sleepers.a", path, sizeof path);
    assert_int_equal(omni_region_open_word(&region, path, false), -ENOENT);
    assert_int_equal(omni_region_open_word(&region, path, true), 0);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    region.bytes[0] = 1;
    omni_region_close(&region);
    assert_int_equal(omni_region_open_word(&region, path, false), 0);
    assert_int_equal(region.bytes[0], 1);
    omni_region_close(&region);
    /* Who may write it may cut it short under the publisher: others must not. */
    assert_int_equal(chmod(path, 0620), 0);
    assert_int_equal(omni_region_open_word(&region, path, true), -EPERM);
    assert_int_equal(chmod(path, 0602), 0);
    assert_int_equal(omni_region_open_word(&region, path, true), -EPERM);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(omni_region_open_word(&region, path, true), -EPERM);
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(omni_region_open_word(&region, path, true), -ELOOP);
    assert_null(region.bytes);
}

static void region_moves_with_its_bytes(void **state) {
    char path[PATH_MAX];
    struct omni_region region = OMNI_REGION_CLOSED;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    scratch_path(*state, "omni-new.a", path, sizeof path);
    assert_int_equal(omni_region_create(&region, path, 3 * page), 0);
    memcpy(region.bytes + page, "here", 5);
    unsigned char *home = mmap(NULL, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(home != MAP_FAILED);
    unsigned char *before = region.bytes;
    assert_int_equal(omni_region_move(&region, home + 1), -EINVAL);
    assert_ptr_equal(region.bytes, before);
    assert_int_equal(omni_region_move(&region, home + page), 0);
    assert_ptr_equal(region.bytes, home + page);
    assert_string_equal((char *)home + 2 * page, "here");
    omni_region_close(&region);
    munmap(home, page);
}

/* ---- a machine's devices, made of files: what is no ivshmem is not even switched on ---- */

#define DEVICES "/sys/bus/pci/devices"
#define DEVICE  DEVICES "/0000:00:04.0"

enum { CANNOT_MOUNT = 77 };

static void make_device(const char *vendor, const char *device, size_t size) {
    static const char zeros[65536];
    (void)mkdir(DEVICE, 0755);
    write_file(DEVICE "/vendor", vendor, strlen(vendor));
    write_file(DEVICE "/device", device, strlen(device));
    write_file(DEVICE "/enable", "0\n", 2);
    write_file(DEVICE "/resource2", zeros, size);
}

static bool is_on(void) {
    struct bytes enable = read_file(DEVICE "/enable");
    bool on = enable.at[0] == '1';
    free(enable.at);
    return on;
}

/* What opening the device says; then it is closed again. */
static int try_device(enum omni_access access, const char *hint) {
    struct omni_region region = OMNI_REGION_CLOSED;
    struct omni_region_options options = {.mode = 0};
    struct omni_problem problem = {""};
    struct omni_address address;
    assert_int_equal(omni_address_parse(&address, "pci:0000:00:04.0/resource2", NULL), 0);
    int error = omni_region_open_shared(&region, &address, access, &options, &problem);
    if (strstr(problem.text, hint) == NULL)
        fail_msg("expected \"%s\": %s", hint, problem.text);
    assert_int_equal(region.bytes != NULL, error == 0);
    omni_region_close(&region);
    return error;
}

static int open_devices(void *context) {
    (void)context;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("devices", DEVICES, "tmpfs", 0, NULL) < 0)
        return CANNOT_MOUNT;
    bool right = try_device(OMNI_ACCESS_WRITE, "lspci -D") == -ENOENT;
    make_device("0x8086\n", "0x100e\n", 65536); /* a network card */
    right = right && try_device(OMNI_ACCESS_WRITE, "1af4:1110") == -EINVAL && !is_on();
    make_device("0x1af4\n", "0x1000\n", 65536); /* the same maker's */
    right = right && try_device(OMNI_ACCESS_READ, "1af4:1110") == -EINVAL && !is_on();
    make_device("0x1af4\n", "0x1110\n", 65536);
    right = right && mkdir(DEVICE "/driver", 0755) == 0 &&
            try_device(OMNI_ACCESS_WRITE, "driver") == -EINVAL && !is_on();
    right = right && rmdir(DEVICE "/driver") == 0 && try_device(OMNI_ACCESS_WRITE, "") == 0;
    return right && is_on() && try_device(OMNI_ACCESS_READ, "") == 0 ? 0 : 1;
}

static void only_shared_memory_is_opened_and_switched_on(void **state) {
    (void)state;
    SKIP_UNLESS_ROOT();
    if (access(DEVICES, F_OK) < 0)
        SKIP_BECAUSE("there is no " DEVICES " here");
    int status = in_child(open_devices, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT)
        SKIP_BECAUSE("may not mount anything here");
    assert_exit(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(segments_are_known_by_their_file),
        cmocka_unit_test(paths_are_made),
        TEST(created_region_is_zero_and_private),
        TEST(only_plain_files_are_opened),
        TEST(devices_are_not_opened),
        TEST(sizes_are_bounded),
        TEST(opened_region_cannot_be_written),
        TEST(owners_are_trusted_or_not),
        TEST(unreadable_file_is_told),
        TEST(word_file_belongs_to_its_user),
        TEST(region_moves_with_its_bytes),
        cmocka_unit_test(only_shared_memory_is_opened_and_switched_on),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
