#include "prose.h"

#include <stdbool.h>
#include <string.h>

void prose_print(FILE *file, int indent, const char *prose) {
    int column = indent;
    while (*prose != '\0') {
        int length = (int)strcspn(prose, " ");
        bool first = column == indent;
        if (!first && column + 1 + length > PROSE_COLUMNS) {
            (void)fprintf(file, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += fprintf(file, "%s%.*s", first ? "" : " ", length, prose);
        prose += length + (prose[length] == ' ');
    }
    (void)fputc('\n', file);
}
