// A job on its way through a worker: between host_disk.c, which makes it, and host_work.c, which does it.
#pragma once
#include "app/host_parts.h"

struct job_file {
    uint32_t index;                     // in the store; IO_FILE_ZERO: none
    struct io_file io;
};

struct host_job {
    struct job job;
    struct host *h;
    struct host_job *spare;             // in host.spare_jobs
    struct io_job io;
    struct job_file *files;             // what it touches: for parts one each
    uint32_t files_n;
    struct job_file few[2];
    struct conn *conn;                  // of disk_load, with to and off
    struct span to;
    uint64_t off;
    enum err err;                       // the outcome
    uint32_t failed;                    // and the file
};

// On a worker.
void work_run(struct job *job, uint8_t *(*scratch)(void));
void work_run_two(struct job *one, struct job *two, uint8_t *(*scratch)(void));    // of JOB_HASH
void work_load(struct job *job, uint8_t *(*scratch)(void));
