/* One owner at a time, told by the kernel: across processes, deaths and forks. */
#include "support.h"

#include <omni/lock.h>

static void lock_path(const struct scratch *scratch, char *path, size_t bytes) {
    scratch_path(scratch, "omni-lock.name", path, bytes);
}

static void only_one_owns(void **state) {
    char path[PATH_MAX];
    lock_path(*state, path, sizeof path);
    int first = omni_lock_own(path);
    assert_true(first >= 0);
    int before = open_files();
    assert_int_equal(omni_lock_own(path), -EBUSY);
    assert_int_equal(omni_lock_own(path), -EBUSY);
    assert_int_equal(open_files(), before);
    assert_int_equal(omni_lock_owner(path), getpid());
    assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(first);
    assert_int_equal(omni_lock_owner(path), 0);
    int second = omni_lock_own(path);
    assert_true(second >= 0);
    close(second);
}

/* With a descriptor of another opening of the file: what a process-wide lock would get wrong. */
static void closing_another_descriptor_keeps_the_lock(void **state) {
    char path[PATH_MAX];
    lock_path(*state, path, sizeof path);
    int owner = omni_lock_own(path);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(omni_lock_is_held(other), 1);
    close(other);
    assert_int_equal(omni_lock_own(path), -EBUSY);
    close(owner);
}

static void reading_is_enough_to_ask(void **state) {
    char path[PATH_MAX];
    lock_path(*state, path, sizeof path);
    write_file(path, "", 0);
    int asks = open(path, O_RDONLY | O_CLOEXEC), takes = open(path, O_RDWR | O_CLOEXEC);
    assert_true(asks >= 0 && takes >= 0);
    assert_int_equal(omni_lock_is_held(asks), 0);
    assert_int_equal(omni_lock_take(takes), 0);
    assert_int_equal(omni_lock_is_held(asks), 1);
    /* The owner asks about others. */
    assert_int_equal(omni_lock_is_held(takes), 0);
    close(takes);
    assert_int_equal(omni_lock_is_held(asks), 0);
    close(asks);
    assert_int_equal(omni_lock_is_held(-1), -EBADF);
    assert_int_equal(omni_lock_take(-1), -EBADF);
}

/* Any user may take a reader's lock on a file that he may read: it must count for nothing. */
static void a_readers_lock_is_no_ownership(void **state) {
    char path[PATH_MAX];
    struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    lock_path(*state, path, sizeof path);
    write_file(path, "", 0);
    int reader = open(path, O_RDONLY | O_CLOEXEC), asks = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(reader, F_OFD_SETLK, &shared), 0);
    assert_int_equal(omni_lock_is_held(asks), 0);
    close(reader);
    close(asks);
}

static void death_frees_the_lock(void **state) {
    char path[PATH_MAX], word;
    int told[2];
    lock_path(*state, path, sizeof path);
    assert_int_equal(pipe(told), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        die_with_parent();
        word = omni_lock_own(path) >= 0 ? 'y' : 'n';
        if (write(told[1], &word, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(told[0], &word, 1), 1);
    assert_int_equal(word, 'y');
    assert_int_equal(omni_lock_own(path), -EBUSY);
    assert_int_equal(omni_lock_owner(path), child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    int owner = omni_lock_own(path);
    assert_true(owner >= 0);
    assert_int_equal(omni_lock_owner(path), getpid());
    close(owner);
    close(told[0]);
    close(told[1]);
}

static void garbage_in_the_file_names_nobody(void **state) {
    static const char *const garbage[] = {
        "", "x", "-5\n", "0\n", "99999999999999999999999\n", "4294967297\n"};
    char path[PATH_MAX];
    lock_path(*state, path, sizeof path);
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        write_file(path, garbage[i], strlen(garbage[i]));
        int owner = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(omni_lock_take(owner), 0);
        assert_int_equal(omni_lock_owner(path), 0);
        close(owner);
    }
    write_file(path, "12345\n", 6);
    assert_int_equal(omni_lock_owner(path), 0); /* nobody holds it */
    unlink(path);
    assert_int_equal(omni_lock_owner(path), 0);
}

static void only_plain_files_are_locked(void **state) {
    char path[PATH_MAX], target[PATH_MAX];
    lock_path(*state, path, sizeof path);
    scratch_path(*state, "target", target, sizeof target);
    write_file(target, "", 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(omni_lock_own(path), -ELOOP);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(omni_lock_own(path), -EPERM);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(omni_lock_own(path), -EISDIR);
    rmdir(path);
    unlink(target);
    assert_int_equal(omni_lock_own("/nowhere/at/all"), -ENOENT);
}

static void lock_of_another_user_is_refused(void **state) {
    SKIP_UNLESS_ROOT();
    char path[PATH_MAX];
    lock_path(*state, path, sizeof path);
    write_file(path, "", 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(omni_lock_own(path), -EPERM);
}

static int own_as_nobody(void *context) {
    if (setegid(65534) < 0 || seteuid(65534) < 0)
        return 100;
    return -omni_lock_own(context);
}

/* Nothing there belongs to another user: another name would not help. */
static void a_folder_that_may_not_be_written_is_told_apart(void **state) {
    SKIP_UNLESS_ROOT();
    const struct scratch *scratch = *state;
    char path[PATH_MAX];
    lock_path(scratch, path, sizeof path);
    assert_int_equal(chmod(scratch->directory, 0755), 0);
    assert_exit(in_child(own_as_nobody, path), EACCES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_one_owns),
        TEST(closing_another_descriptor_keeps_the_lock),
        TEST(reading_is_enough_to_ask),
        TEST(a_readers_lock_is_no_ownership),
        TEST(death_frees_the_lock),
        TEST(garbage_in_the_file_names_nobody),
        TEST(only_plain_files_are_locked),
        TEST(lock_of_another_user_is_refused),
        TEST(a_folder_that_may_not_be_written_is_told_apart),
    };
    alarm(PATIENCE_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
