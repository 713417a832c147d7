/* One address form, wherever a source is named. */
#include "support.h"

#include <omni/region.h>

static void addresses_are_taken_apart(void **state) {
    static const struct {
        const char *text, *whole, *path;
        enum omni_place place;
        uint64_t offset, length;
    } right[] = {
        {"robot", "shm:robot", "robot", OMNI_PLACE_SHM, 0, 0},
        {"shm:robot", "shm:robot", "robot", OMNI_PLACE_SHM, 0, 0},
        {"shm:a.b_c-d", "shm:a.b_c-d", "a.b_c-d", OMNI_PLACE_SHM, 0, 0},
        {"file:/dev/shm/x", "file:/dev/shm/x", "/dev/shm/x", OMNI_PLACE_FILE, 0, 0},
        {"file:a", "file:a", "a", OMNI_PLACE_FILE, 0, 0},
        {"file:/a:b+c d", "file:/a:b+c d", "/a:b+c d", OMNI_PLACE_FILE, 0, 0},
        {"devmem:0xFE000000+1MiB", "devmem:0xFE000000+1MiB", "/dev/mem", OMNI_PLACE_DEVMEM,
         0xFE000000, 1048576},
        {"devmem:4096+0x1000", "devmem:4096+0x1000", "/dev/mem", OMNI_PLACE_DEVMEM, 4096, 4096},
        {"devmem:0+64KiB", "devmem:0+64KiB", "/dev/mem", OMNI_PLACE_DEVMEM, 0, 65536},
        {"devmem:0x100000000+2GiB", "devmem:0x100000000+2GiB", "/dev/mem", OMNI_PLACE_DEVMEM,
         0x100000000, 2147483648},
        {"pci:0000:00:04.0/resource2", "pci:0000:00:04.0/resource2",
         "/sys/bus/pci/devices/0000:00:04.0/resource2", OMNI_PLACE_PCI, 0, 0},
        {"pci:00af:ff:1f.7/resource2_wc", "pci:00af:ff:1f.7/resource2_wc",
         "/sys/bus/pci/devices/00af:ff:1f.7/resource2_wc", OMNI_PLACE_PCI, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct omni_address address;
        struct omni_problem problem = {""};
        if (omni_address_parse(&address, right[i].text, &problem) != 0)
            fail_msg("%s: %s", right[i].text, problem.text);
        assert_string_equal(address.text, right[i].whole);
        assert_string_equal(address.path, right[i].path);
        assert_int_equal(address.place, right[i].place);
        assert_int_equal(address.offset, right[i].offset);
        assert_int_equal(address.length, right[i].length);
    }
}

/* Each with a word that must be in what the user is told. */
static void wrong_ones_are_told_the_right_form(void **state) {
    static const struct {
        const char *text, *hint;
    } wrong[] = {
        {"", "cannot name a source"},
        {"a/b", "a/b is a path: write file:a/b"},
        {"shm:", "cannot name a source"},
        {"shm:a:b", "cannot name a source"},
        {"shm:.hidden", "cannot name a source"},
        {"fil:/a", "file:PATH"},
        {"FILE:/a", "file:PATH"},
        {":", "file:PATH"},
        {"file:", "file:PATH"},
        {"devmem:", "devmem:ADDRESS+LENGTH"},
        {"devmem:4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:4096+", "devmem:ADDRESS+LENGTH"},
        {"devmem:4096+0", "devmem:ADDRESS+LENGTH"},
        {"devmem:+4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:-4096+4096", "devmem:ADDRESS+LENGTH"},
        {"devmem: 4096+4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:0x+4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:0xfe000000+1MB", "devmem:ADDRESS+LENGTH"},
        {"devmem:0xfe000000+1MiBx", "devmem:ADDRESS+LENGTH"},
        {"devmem:1KiB+4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:0xfe000000-4096", "devmem:ADDRESS+LENGTH"},
        {"devmem:0xffffffffffffffff+1", "devmem:ADDRESS+LENGTH"},
        {"devmem:99999999999999999999+1", "devmem:ADDRESS+LENGTH"},
        {"devmem:0+0xffffffffffffffff", "devmem:ADDRESS+LENGTH"},
        {"devmem:4096+0x8000000000000000", "devmem:ADDRESS+LENGTH"},
        {"devmem:0x7fffffffffffffff+1", "devmem:ADDRESS+LENGTH"},
        {"devmem:0+99999999999GiB", "devmem:ADDRESS+LENGTH"},
        {"pci:", "lspci -D"},
        {"pci:00:04.0/resource2", "lspci -D"},
        {"pci:0000:00:04.0", "lspci -D"},
        {"pci:0000:00:04.0/", "lspci -D"},
        {"pci:0000:00:04.0/resource0", "lspci -D"},
        {"pci:0000:00:04.0/resource2_wcx", "lspci -D"},
        {"pci:0000:00:04.8/resource2", "lspci -D"},
        {"pci:0000:00:0G.0/resource2", "lspci -D"},
        {"pci:0000:00:04.0/../resource2", "lspci -D"},
        {"pci:../../../etc/passwd", "lspci -D"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct omni_address address = {.offset = 77};
        struct omni_problem problem = {""};
        int error = omni_address_parse(&address, wrong[i].text, &problem);
        if (error != -EINVAL || strstr(problem.text, wrong[i].hint) == NULL)
            fail_msg("\"%s\": %d, %s", wrong[i].text, error, problem.text);
        assert_int_equal(address.offset, 77);
        assert_int_equal(omni_address_parse(&address, wrong[i].text, NULL), -EINVAL);
    }
}

static void what_is_too_long_is_refused(void **state) {
    struct omni_address address;
    struct omni_problem problem;
    char text[OMNI_PATH_BYTES + 16] = "file:/";
    (void)state;
    memset(text + 6, 'x', OMNI_PATH_BYTES - 7);
    text[OMNI_PATH_BYTES - 1] = '\0';
    assert_int_equal(omni_address_parse(&address, text, &problem), 0);
    text[OMNI_PATH_BYTES - 1] = 'x';
    assert_int_equal(omni_address_parse(&address, text, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "too long"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(wrong_ones_are_told_the_right_form),
        cmocka_unit_test(what_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
