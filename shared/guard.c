#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include <omni/guard.h>

enum { GUARD_PLACES = 256 };

/* A signal handler has nothing but globals. `bytes` is 0 for a free place, and is stored last and
 * cleared first; the handler looks at it before and after it looks at the size, so that it never
 * pairs an address with another's size while other threads attach and detach. */
struct place {
    _Atomic uintptr_t bytes;
    _Atomic size_t size;
    _Atomic int protection;
    atomic_bool taken;
};

static struct place places[GUARD_PLACES];
static struct sigaction action_before;

static bool replace_by_zeros(uintptr_t address) {
    for (size_t i = 0; i < GUARD_PLACES; i++) {
        uintptr_t bytes = atomic_load(&places[i].bytes);
        size_t size = atomic_load(&places[i].size);
        int protection = atomic_load(&places[i].protection);
        if (bytes == 0 || address < bytes || address - bytes >= size ||
            atomic_load(&places[i].bytes) != bytes)
            continue;
        return mmap((void *)bytes, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                    0) != MAP_FAILED;
    }
    return false;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    int saved = errno;
    /* Not above 0: somebody sent it, and si_addr is no address. */
    bool mended = info->si_code > 0 && replace_by_zeros((uintptr_t)info->si_addr);
    errno = saved;
    if (mended)
        return;
    if ((action_before.sa_flags & SA_SIGINFO) != 0) {
        action_before.sa_sigaction(signal, info, context);
    } else if (action_before.sa_handler != SIG_DFL && action_before.sa_handler != SIG_IGN) {
        action_before.sa_handler(signal);
    } else {
        /* Not ours: put the default back; the faulting instruction runs again and ends us. */
        struct sigaction fall = {.sa_handler = SIG_DFL};
        sigaction(signal, &fall, NULL);
        if (info->si_code <= 0)
            raise(signal);
    }
}

int omni_guard_install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction now;
    if (sigaction(SIGBUS, NULL, &now) < 0)
        return -errno;
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_bus_error)
        return 0;
    sigemptyset(&action.sa_mask);
    action_before = now;
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int omni_guard_add(void *bytes, size_t size, bool writable) {
    for (int i = 0; i < GUARD_PLACES; i++) {
        bool free_place = false;
        if (!atomic_compare_exchange_strong(&places[i].taken, &free_place, true))
            continue;
        atomic_store(&places[i].size, size);
        atomic_store(&places[i].protection, writable ? PROT_READ | PROT_WRITE : PROT_READ);
        atomic_store(&places[i].bytes, (uintptr_t)bytes);
        return i;
    }
    return -EMFILE;
}

void omni_guard_drop(int place) {
    if (place < 0)
        return;
    atomic_store(&places[place].bytes, 0);
    atomic_store(&places[place].taken, false);
}
