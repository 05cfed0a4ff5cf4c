// Open files, at most so many, the least recently used closed first. Any thread.
#pragma once
#include "plat/file.h"

struct files;

// One open file; the holder of a reference may use fd.
struct file;

// max: descriptors kept. ERR_NOMEM.
MUST_USE enum err files_new(struct files **out, uint32_t max);
// Wants all references given back.
void files_free(struct files *f);
// Only if it is open, in a mode that allows writing if `write`: never blocks. NULL: not open. Give back with files_put.
struct file *files_find(struct files *f, uint64_t key, bool write);
// Opens it if needed; may block. Errors of file_open; ERR_NOMEM.
MUST_USE enum err files_open(struct files *f, uint64_t key, const struct file_name *name, enum file_mode mode, struct file **out);
void files_put(struct files *f, struct file *file);
int file_fd(const struct file *file);
// Closes what is open of keys from..to (inclusive), at once or when it is given back.
void files_forget(struct files *f, uint64_t from, uint64_t to);
// Descriptors held now.
uint32_t files_open_n(struct files *f);
