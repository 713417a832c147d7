#include "reading.h"

#include <errno.h>

static int read_tree(struct routes *routes, const cJSON *tree, reading_fill *fill,
                     const struct json_place *root) {
    struct routes read;
    if (routes_init(&read, root->file) < 0)
        return json_complain(root, -ENOMEM, "out of memory");
    int error = fill(&read, tree, root);
    if (error == 0)
        error = routes_check(&read, root->problem);
    if (error < 0)
        routes_free(&read);
    else
        *routes = read;
    return error;
}

int reading_file(struct routes *routes, const char *path, reading_fill *fill,
                 struct omni_problem *problem) {
    const struct json_place root = {.file = path, .problem = problem};
    cJSON *tree = NULL;
    int error = json_read(&tree, &root);
    if (error == 0)
        error = read_tree(routes, tree, fill, &root);
    cJSON_Delete(tree);
    return error;
}

int reading_bytes(struct routes *routes, const char *bytes, size_t length, const char *path,
                  reading_fill *fill, struct omni_problem *problem) {
    const struct json_place root = {.file = path, .problem = problem};
    cJSON *tree = NULL;
    int error = json_parse(&tree, bytes, length, &root);
    if (error == 0)
        error = read_tree(routes, tree, fill, &root);
    cJSON_Delete(tree);
    return error;
}
