// SPDX-License-Identifier: MIT
/*
 * pool: one owner per buffer, poison, room at both ends, and aborts where our own bugs would show.
 */
#include "ethercord/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_BUFS = 5, CAP = 200, ROUNDED_CAP = 256 };

static void each_buffer_is_handed_out_once(void **state)
{
    struct pool pool;
    struct buf *bufs[N_BUFS];
    (void)state;

    assert_int_equal(pool_init(&pool, N_BUFS, CAP), 0);
    for (int i = 0; i < N_BUFS; i++) {
        bufs[i] = pool_get(&pool, 0);
        assert_non_null(bufs[i]);
        assert_int_equal((uintptr_t)bufs[i]->mem % 64, 0);
        assert_int_equal(bufs[i]->cap, ROUNDED_CAP);
        assert_int_equal(bufs[i]->len, 0);
        memset(bufs[i]->mem, i, bufs[i]->cap); // the whole of it may be written, and overlaps no other
    }
    assert_null(pool_get(&pool, 0));
    for (int i = 0; i < N_BUFS; i++)
        for (size_t k = 0; k < ROUNDED_CAP; k++)
            assert_int_equal(bufs[i]->mem[k], i);
    for (int i = 0; i < N_BUFS; i++)
        pool_put(&pool, bufs[i]);
    assert_int_equal(pool.n_free, N_BUFS);
    assert_int_equal(pool_deinit(&pool), 0);
}

static void all_pages_are_there_after_a_touch(void **state)
{
    enum { PAGE = 4096, N_PAGES = 64 };
    struct pool pool;
    unsigned char is_resident[N_PAGES + 1];
    (void)state;

    assert_int_equal(pool_init(&pool, 2, N_PAGES / 2 * PAGE), 0);
    pool_touch(&pool);
    void *first = (void *)((uintptr_t)pool.mem / PAGE * PAGE);
    assert_int_equal(mincore(first, N_PAGES * PAGE, is_resident), 0);
    for (size_t i = 0; i < N_PAGES; i++)
        assert_int_equal(is_resident[i] & 1, 1);
    assert_int_equal(pool.n_free, 2);
    assert_int_equal(pool_deinit(&pool), 0);
}

static void caps_are_rounded_up_to_64(void **state)
{
    static const struct {
        size_t asked, got;
    } rows[] = {{1, 64}, {63, 64}, {64, 64}, {65, 128}, {65536, 65536}, {65537, 65600}};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pool pool;
        assert_int_equal(pool_init(&pool, 2, rows[i].asked), 0);
        struct buf *buf = pool_get(&pool, rows[i].got);
        assert_int_equal(buf->cap, rows[i].got);
        assert_int_equal(buf_headroom(buf), rows[i].got);
        assert_int_equal(buf_tailroom(buf), 0);
        pool_put(&pool, buf);
        assert_int_equal(pool_deinit(&pool), 0);
    }
}

static void impossible_sizes_are_out_of_memory(void **state)
{
    struct pool pool;
    (void)state;

    assert_int_equal(pool_init(&pool, 1, SIZE_MAX), -ENOMEM);
    assert_int_equal(pool_init(&pool, SIZE_MAX, 64), -ENOMEM);
    assert_int_equal(pool_init(&pool, SIZE_MAX / 64, 64), -ENOMEM);
    assert_null(pool.mem);
    assert_int_equal(pool_deinit(&pool), 0);
}

static void a_buffer_that_was_put_back_is_poisoned(void **state)
{
    struct pool pool;
    (void)state;

    assert_int_equal(pool_init(&pool, 1, CAP), 0);
    struct buf *buf = pool_get(&pool, 32);
    const uint8_t *mem = buf->mem;
    memset(buf->mem, 0x11, buf->cap);
    pool_put(&pool, buf);
    assert_null(buf->data);
    assert_null(buf->owner);
    for (size_t i = 0; i < 64; i++)
        assert_int_not_equal(mem[i], 0x11);
    assert_ptr_equal(pool_get(&pool, 0), buf);
    assert_int_equal(pool_deinit(&pool), 1); // the leak is told
}

static void push_and_append_use_the_room_to_the_last_byte(void **state)
{
    struct pool pool;
    (void)state;

    assert_int_equal(pool_init(&pool, 1, CAP), 0);
    struct buf *buf = pool_get(&pool, 40);
    assert_ptr_equal(buf_append(buf, 100), buf->mem + 40);
    assert_ptr_equal(buf_append(buf, 16), buf->mem + 140);
    assert_int_equal(buf->len, 116);
    assert_ptr_equal(buf_push(buf, 8), buf->mem + 32);
    assert_ptr_equal(buf->data, buf->mem + 32);
    assert_int_equal(buf->len, 124);
    assert_int_equal(buf_headroom(buf), 32);
    assert_int_equal(buf_tailroom(buf), ROUNDED_CAP - 32 - 124);
    buf_push(buf, 32);
    buf_append(buf, buf_tailroom(buf));
    assert_int_equal(buf->len, ROUNDED_CAP);
    assert_ptr_equal(buf_append(buf, 0), buf->mem + ROUNDED_CAP);
    assert_ptr_equal(buf_push(buf, 0), buf->mem);
    pool_put(&pool, buf);
    assert_int_equal(pool_deinit(&pool), 0);
}

static void put_twice(struct pool *pool, struct pool *other)
{
    (void)other;
    struct buf *buf = pool_get(pool, 0);
    pool_put(pool, buf);
    pool_put(pool, buf);
}

static void put_into_another_pool(struct pool *pool, struct pool *other)
{
    pool_put(other, pool_get(pool, 0));
}

static void push_too_much(struct pool *pool, struct pool *other)
{
    (void)other;
    buf_push(pool_get(pool, 8), 9);
}

static void append_too_much(struct pool *pool, struct pool *other)
{
    (void)other;
    buf_append(pool_get(pool, 8), ROUNDED_CAP - 7);
}

static void append_overflow(struct pool *pool, struct pool *other)
{
    (void)other;
    buf_append(pool_get(pool, 8), SIZE_MAX);
}

static void too_much_headroom(struct pool *pool, struct pool *other)
{
    (void)other;
    pool_get(pool, ROUNDED_CAP + 1);
}

static void our_own_bugs_abort(void **state)
{
    static void (*const bugs[])(struct pool *, struct pool *) = {put_twice,       put_into_another_pool, push_too_much,
                                                                 append_too_much, append_overflow,       too_much_headroom};
    struct pool pool;
    struct pool other;
    (void)state;

    assert_int_equal(pool_init(&pool, 1, CAP), 0);
    assert_int_equal(pool_init(&other, 1, CAP), 0);
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO);
            bugs[i](&pool, &other);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    assert_int_equal(pool_deinit(&pool), 0);
    assert_int_equal(pool_deinit(&other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_buffer_is_handed_out_once),
        cmocka_unit_test(caps_are_rounded_up_to_64),
        cmocka_unit_test(all_pages_are_there_after_a_touch),
        cmocka_unit_test(impossible_sizes_are_out_of_memory),
        cmocka_unit_test(a_buffer_that_was_put_back_is_poisoned),
        cmocka_unit_test(push_and_append_use_the_room_to_the_last_byte),
        cmocka_unit_test(our_own_bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
