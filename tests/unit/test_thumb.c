/*
 * test_thumb.c: thumbnails, made by the real writeen-thumb.
 *
 * Without it a picture could be shown on its side, tell where it was taken, or
 * take the role with it when it is a bomb; and what a child that was taken
 * over writes could be served as a picture.
 *
 * WRT_TEST_THUMB is the program, WRT_TEST_JAIL is jail_probe.
 */

#define _GNU_SOURCE

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vips/vips.h>

#include "tests/unit/thumb_bomb.h"
#include "worker/files/thumb/thumb.h"

#define FILES  "tests/unit/files/"

static char         dir[] = "/tmp/wrt-thumb-XXXXXX";
static int          dirfd_;
static const char  *program;


static int
file_of(const void *p, size_t n)
{
    int  fd;

    fd = memfd_create("picture", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t) n);

    return fd;
}


static thumb_rc_t
make(thumb_t *t, type_kind_t kind, int fd)
{
    thumb_rc_t  rc;

    rc = thumb_make(t, program, kind, fd, dirfd_);
    close(fd);

    return rc;
}


static int
real_file(const char *name)
{
    int   fd;
    char  path[128];

    snprintf(path, sizeof(path), FILES "%s", name);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);

    return fd;
}


/* The bytes of a thumbnail, and the picture in them. */
static VipsImage *
picture(const thumb_t *t, int size, char **bytes)
{
    VipsImage            *im;
    const thumb_image_t  *th;

    th = &t->images[size];
    *bytes = malloc((size_t) th->size);
    assert_int_equal(pread(th->fd, *bytes, (size_t) th->size, 0), th->size);

    im = vips_image_new_from_buffer(*bytes, (size_t) th->size, "", "fail_on",
                                    VIPS_FAIL_ON_WARNING, NULL);
    assert_non_null(im);
    assert_int_equal(vips_image_get_width(im), th->width);
    assert_int_equal(vips_image_get_height(im), th->height);

    return im;
}


/* Nothing but pixels. */
static void
check_bare(const VipsImage *im, const char *bytes, size_t n)
{
    size_t  i;

    static const char  *marks[] = {
        "Exif", "GPS", "http://ns.adobe", "ICC_PROFILE", "iCCP", "eXIf",
        "tEXt", "iTXt", "zTXt", "tIME", "Photoshop", "Writeen", "taken at"
    };

    for (i = 0; i < UNIT_COUNT(marks); i++) {
        assert_null(memmem(bytes, n, marks[i], strlen(marks[i])));
    }

    assert_int_equal(vips_image_get_typeof(im, VIPS_META_EXIF_NAME), 0);
    assert_int_equal(vips_image_get_typeof(im, VIPS_META_XMP_NAME), 0);
    assert_int_equal(vips_image_get_typeof(im, VIPS_META_ICC_NAME), 0);
    assert_int_equal(vips_image_get_orientation(
                         (VipsImage *) (uintptr_t) im), 1);
}


typedef struct {
    const char   *file;
    type_kind_t   kind;
    int           width, height, pages;
    const char   *mime;
    int           sizes[THUMB_SIZES][2];
} real_t;

static const real_t  real[] = {
    { "house.jpg", TYPE_JPEG, 600, 800, 1, "image/jpeg",
      { { 113, 150 }, { 225, 300 }, { 450, 600 } } },
    { "shapes.png", TYPE_PNG, 400, 200, 1, "image/png",
      { { 150, 75 }, { 300, 150 }, { 400, 200 } } },
    { "moving.gif", TYPE_GIF, 120, 80, 4, "image/jpeg",
      { { 120, 80 }, { 120, 80 }, { 120, 80 } } },
    { "paper.pdf", TYPE_PDF, 595, 842, 2, "image/jpeg",
      { { 106, 150 }, { 212, 300 }, { 424, 600 } } }
};


static void
real_files(void **state)
{
    char       *bytes;
    size_t      i;
    int         k;
    thumb_t     t;
    VipsImage  *im;

    (void) state;

    for (i = 0; i < UNIT_COUNT(real); i++) {

        if (make(&t, real[i].kind, real_file(real[i].file)) != THUMB_OK) {
            fail_msg("%s: %s", real[i].file, t.text);
        }

        assert_int_equal(t.width, real[i].width);
        assert_int_equal(t.height, real[i].height);
        assert_int_equal(t.pages, real[i].pages);
        assert_string_equal(t.mime, real[i].mime);
        assert_string_equal(t.ext, t.mime[6] == 'j' ? ".jpg" : ".png");

        for (k = 0; k < THUMB_SIZES; k++) {
            im = picture(&t, k, &bytes);
            assert_int_equal(t.images[k].width, real[i].sizes[k][0]);
            assert_int_equal(t.images[k].height, real[i].sizes[k][1]);
            check_bare(im, bytes, (size_t) t.images[k].size);
            g_object_unref(im);
            free(bytes);
        }

        thumb_free(&t);
    }
}


/* The colour at a place given in parts of a hundred, within 12 of this. */
static void
check_colour(VipsImage *im, int x, int y, int r, int g, int b, int a)
{
    int      i, n, want[4] = { r, g, b, a };
    double  *v;

    assert_int_equal(vips_getpoint(im, &v, &n,
                                   vips_image_get_width(im) * x / 100,
                                   vips_image_get_height(im) * y / 100,
                                   NULL), 0);
    assert_int_equal(n, a < 0 ? 3 : 4);

    for (i = 0; i < n; i++) {

        /* nothing has a colour where one sees through */
        if ((a == 0 && i < 3) || (v[i] > want[i] - 12 && v[i] < want[i] + 12))
        {
            continue;
        }

        fail_msg("at %d, %d: %d is %g, not %d", x, y, i, v[i], want[i]);
    }

    g_free(v);
}


/* Upright, in its colours, and seen through where it should be. */
static void
looks(void **state)
{
    int         k;
    char       *bytes;
    thumb_t     t;
    VipsImage  *im;

    (void) state;

    assert_int_equal(make(&t, TYPE_JPEG, real_file("house.jpg")), THUMB_OK);

    for (k = 0; k < THUMB_SIZES; k++) {
        im = picture(&t, k, &bytes);
        check_colour(im, 10, 10, 120, 180, 240, -1);    /* sky */
        check_colour(im, 80, 12, 250, 220, 60, -1);     /* sun, on the right */
        check_colour(im, 10, 90, 60, 140, 60, -1);      /* meadow, below */
        check_colour(im, 30, 60, 180, 80, 50, -1);      /* house */
        g_object_unref(im);
        free(bytes);
    }

    thumb_free(&t);

    assert_int_equal(make(&t, TYPE_PNG, real_file("shapes.png")), THUMB_OK);
    im = picture(&t, THUMB_MEDIUM, &bytes);
    check_colour(im, 1, 2, 0, 0, 0, 0);
    check_colour(im, 12, 50, 220, 40, 40, 255);
    check_colour(im, 86, 50, 0, 160, 0, 255);
    check_colour(im, 60, 50, 40, 40, 220, 128);
    g_object_unref(im);
    free(bytes);
    thumb_free(&t);

    assert_int_equal(make(&t, TYPE_PDF, real_file("paper.pdf")), THUMB_OK);
    im = picture(&t, THUMB_LARGE, &bytes);
    check_colour(im, 2, 2, 255, 255, 255, -1);
    check_colour(im, 20, 87, 204, 25, 25, -1);
    g_object_unref(im);
    free(bytes);
    thumb_free(&t);
}


/* All eight ways to hold a camera end in one picture. */
static void
orientations(void **state)
{
    int             i;
    char           *bytes;
    void           *p;
    size_t          n;
    thumb_t         t;
    VipsImage      *im, *turned, *up;

    static const struct {
        VipsAngle       angle;      /* of the stored one */
        int             flip;       /* first */
    } stored[] = {
        { VIPS_ANGLE_D0, 0 }, { VIPS_ANGLE_D0, 1 }, { VIPS_ANGLE_D180, 0 },
        { VIPS_ANGLE_D180, 1 }, { VIPS_ANGLE_D270, 1 },
        { VIPS_ANGLE_D270, 0 }, { VIPS_ANGLE_D90, 1 }, { VIPS_ANGLE_D90, 0 }
    };

    (void) state;

    for (i = 0; i < 8; i++) {

        /* red above on the left, the rest white */
        assert_int_equal(vips_black(&im, 400, 200, "bands", 3, NULL), 0);
        assert_int_equal(vips_linear1(im, &up, 0, 255, "uchar", TRUE, NULL),
                         0);
        g_object_unref(im);
        im = vips_image_copy_memory(up);
        g_object_unref(up);
        assert_int_equal(vips_draw_rect(im, (double[]) { 200, 0, 0 }, 3, 0, 0,
                                        100, 100, "fill", TRUE, NULL), 0);

        if (stored[i].flip) {
            assert_int_equal(vips_flip(im, &turned,
                                       VIPS_DIRECTION_HORIZONTAL, NULL), 0);
            g_object_unref(im);
            im = turned;
        }

        assert_int_equal(vips_rot(im, &turned, stored[i].angle, NULL), 0);
        g_object_unref(im);
        vips_image_set_int(turned, VIPS_META_ORIENTATION, i + 1);
        assert_int_equal(vips_jpegsave_buffer(turned, &p, &n, "Q", 95, NULL),
                         0);
        g_object_unref(turned);

        assert_int_equal(make(&t, TYPE_JPEG, file_of(p, n)), THUMB_OK);
        g_free(p);
        assert_int_equal(t.width, 400);
        assert_int_equal(t.height, 200);
        assert_int_equal(t.images[THUMB_SMALL].width, 150);
        assert_int_equal(t.images[THUMB_SMALL].height, 75);

        im = picture(&t, THUMB_MEDIUM, &bytes);
        check_colour(im, 10, 20, 200, 0, 0, -1);
        check_colour(im, 90, 20, 255, 255, 255, -1);
        check_colour(im, 10, 80, 255, 255, 255, -1);
        check_colour(im, 90, 80, 255, 255, 255, -1);
        g_object_unref(im);
        free(bytes);
        thumb_free(&t);
    }
}


static void
bombs(void **state)
{
    int         fd;
    thumb_t     t;
    thumb_rc_t  rc;

    static const char  gif[] =
        "GIF89a\377\377\377\377\x80\0\0\0\0\0\377\377\377,\0\0\0\0\377\377"
        "\377\377\0\2\2D\1\0;";

    (void) state;

    /* 50,000 x 50,000: 2.5 billion pixels in some hundred kilobytes */
    fd = thumb_png(50000, 50000, 1, 0, 0, 6250);
    assert_true(lseek(fd, 0, SEEK_END) < 2 * 1024 * 1024);
    assert_int_equal(make(&t, TYPE_PNG, fd), THUMB_NONE);
    assert_int_equal(t.width, 50000);
    assert_int_equal(t.height, 50000);
    assert_non_null(strstr(t.text, "more than 100000000 pixels"));

    assert_int_equal(make(&t, TYPE_GIF, file_of(gif, sizeof(gif) - 1)),
                     THUMB_NONE);
    assert_string_not_equal(t.text, "");

    /* as many as may be, of 8 bytes; interlaced, so all of it at once */
    fd = thumb_png(10000, 10000, 16, 6, 1, 80000);
    rc = make(&t, TYPE_PNG, fd);
    assert_in_range(rc, THUMB_OK, THUMB_NONE);
    thumb_free(&t);

    /* and this one is just large */
    fd = thumb_png(10000, 10000, 1, 0, 0, 1250);

    if (make(&t, TYPE_PNG, fd) != THUMB_OK) {
        fail_msg("%s", t.text);
    }

    assert_int_equal(t.images[THUMB_LARGE].width, 600);
    thumb_free(&t);
}


static void
damaged(void **state)
{
    int         fd, k;
    char       *p;
    size_t      i, n;
    uint64_t    seed;
    thumb_t     t;
    thumb_rc_t  rc;

    (void) state;

    seed = unit_seed();
    p = malloc(65536);

    fd = real_file("house.jpg");
    n = (size_t) read(fd, p, 65536);
    close(fd);
    assert_int_equal(make(&t, TYPE_JPEG, file_of(p, n / 2)), THUMB_NONE);
    assert_int_equal(t.width, 600);
    assert_int_equal(t.height, 800);
    assert_string_not_equal(t.text, "");

    for (i = 0; i < UNIT_COUNT(real); i++) {
        fd = real_file(real[i].file);
        n = (size_t) read(fd, p, 65536);
        close(fd);

        for (k = 0; k < 8; k++) {
            p[unit_below(&seed, n)] ^= (char) (1 + unit_below(&seed, 255));
            rc = make(&t, real[i].kind, file_of(p, k % 2 ? n
                                                : unit_below(&seed, n)));
            assert_in_range(rc, THUMB_OK, THUMB_NONE);
            assert_true(rc == THUMB_OK || t.text[0]);
            thumb_free(&t);
        }
    }

    free(p);
}


/* Only the loader for what it was said to be. */
static void
other_loaders(void **state)
{
    size_t   i, k;
    thumb_t  t;

    static const char  svg[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" "
        "width=\"9\" height=\"9\"><rect width=\"9\" height=\"9\"/></svg>";
    static const char  ppm[] = "P3 1 1 255 0 0 0\n";
    static const type_kind_t  kinds[] = {
        TYPE_JPEG, TYPE_PNG, TYPE_GIF, TYPE_PDF
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(kinds); i++) {
        assert_int_equal(make(&t, kinds[i], file_of(svg, sizeof(svg) - 1)),
                         THUMB_NONE);
        assert_int_equal(make(&t, kinds[i], file_of(ppm, sizeof(ppm) - 1)),
                         THUMB_NONE);

        for (k = 0; k < UNIT_COUNT(real); k++) {
            if (real[k].kind != kinds[i]) {
                assert_int_equal(make(&t, kinds[i], real_file(real[k].file)),
                                 THUMB_NONE);
            }
        }
    }

    assert_int_equal(make(&t, TYPE_OTHER, real_file("house.jpg")),
                     THUMB_NONE);
}


/* A program that does what it should not. */
static thumb_rc_t
stand_in(thumb_t *t, const char *script)
{
    int          fd;
    char         path[64];
    FILE        *f;
    thumb_rc_t   rc;

    snprintf(path, sizeof(path), "%s/stand-in", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", script);
    fclose(f);
    assert_int_equal(chmod(path, 0700), 0);

    fd = file_of("x", 1);
    rc = thumb_make(t, path, TYPE_JPEG, fd, dirfd_);
    close(fd);
    unlink(path);

    return rc;
}


static void
strange_children(void **state)
{
    int      fd;
    size_t   i;
    thumb_t  t;

    static const struct {
        const char  *script;
        thumb_rc_t   rc;
        const char  *text;
    } rows[] = {
        { "exit 0", THUMB_NONE, "no thumbnails" },
        { "exit 3", THUMB_NONE, "status 3" },
        { "kill -SEGV $$", THUMB_NONE, "signal 11" },
        { "kill -KILL $$", THUMB_NONE, "signal 9" },
        { "echo none of these; exit 1", THUMB_NONE, "of these" },
        { "echo failed to start; exit 1", THUMB_FAILED, "to start" },
        { "printf 'none \\033[2J\\377\\n'", THUMB_NONE, "?[2J?" },
        { "echo made jpg 9 9 9 9 9 9", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do echo '<html><script>alert(1)</script>' >&$i; "
          "done; echo made jpg 9 9 9 9 9 9", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do printf '\\377\\330\\377 not a png' >&$i; done; "
          "echo made png 9 9 9 9 9 9", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do printf '\\377\\330\\377 looks like it' >&$i; "
          "done; echo made jpg 9 9 9 9 9 0", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do printf '\\377\\330\\377 looks like it' >&$i; "
          "done; echo made jpg 9 9 9 9 9 601", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do printf '\\377\\330\\377 looks like it' >&$i; "
          "done; echo made exe 9 9 9 9 9 9", THUMB_NONE, "no picture" },
        { "for i in 3 4 5; do printf '\\377\\330\\377 looks like it' >&$i; "
          "done; echo made jpg 9 9 9 9 9 9", THUMB_OK, "" },
        { "exec yes", THUMB_NONE, "signal" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(rows); i++) {
        if (stand_in(&t, rows[i].script) != rows[i].rc
            || strstr(t.text, rows[i].text) == NULL)
        {
            fail_msg("%s: %s", rows[i].script, t.text);
        }

        thumb_free(&t);
    }

    /* it has nothing of ours: no variables, no descriptors */
    assert_int_equal(setenv("MINIO_SECRET_KEY", "secret", 1), 0);
    fd = open("/", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(stand_in(&t, "echo none $MINIO_SECRET_KEY "
                              "$(ls /proc/$$/fd | tr '\\n' ' ')"),
                     THUMB_NONE);
    close(fd);
    assert_null(strstr(t.text, "secret"));
    assert_non_null(strstr(t.text, "0 1 10 2 3 4 5"));

    fd = file_of("x", 1);
    assert_int_equal(thumb_make(&t, "/nowhere/x", TYPE_JPEG, fd, dirfd_),
                     THUMB_FAILED);
    assert_non_null(strstr(t.text, "/nowhere/x"));
    assert_int_equal(thumb_make(&t, program, TYPE_JPEG, fd, -1),
                     THUMB_FAILED);
    close(fd);
    assert_int_equal(thumb_make(&t, program, TYPE_JPEG, -1, dirfd_),
                     THUMB_FAILED);
}


/* One that works without end, and one that does nothing, side by side. */
static void
endless(void **state)
{
    int      status;
    pid_t    pid;
    thumb_t  t;

    (void) state;

    pid = fork();

    if (pid == 0) {
        _exit(stand_in(&t, "exec sleep 1000") == THUMB_NONE
              && strstr(t.text, "took longer") ? 0 : 1);
    }

    assert_int_equal(make(&t, TYPE_PDF, thumb_pdf()), THUMB_NONE);
    assert_true(strstr(t.text, "signal") || strstr(t.text, "took longer"));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}


/* The role is killed: its child does not go on. */
static void
orphan(void **state)
{
    int      status, child, fd;
    char     path[64];
    FILE    *f;
    pid_t    role;
    thumb_t  t;

    (void) state;

    /* it becomes ours */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    fd = thumb_pdf();
    role = fork();

    if (role == 0) {
        make(&t, TYPE_PDF, fd);
        _exit(0);
    }

    close(fd);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", role, role);

    /* until it is in its jail, where its user is another */
    for (child = 0; child == 0; ) {
        f = fopen(path, "r");
        assert_non_null(f);

        if (fscanf(f, "%d", &child) != 1) {
            child = 0;
        }

        fclose(f);
    }

    snprintf(path, sizeof(path), "/proc/%d/status", child);

    for (status = 0; !status; ) {
        char  text[4096];

        f = fopen(path, "r");
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        status = strstr(text, "Seccomp:\t2") != NULL;
    }

    kill(role, SIGKILL);
    assert_int_equal(waitpid(role, &status, 0), role);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}


static void
jail(void **state)
{
    int          status;
    char         path[64];
    pid_t        pid;
    const char  *probe;

    (void) state;

    probe = getenv("WRT_TEST_JAIL");
    assert_non_null(probe);
    snprintf(path, sizeof(path), "%s/target", dir);
    close(open(path, O_WRONLY | O_CREAT, 0666));
    chmod(path, 0666);

    pid = fork();

    if (pid == 0) {
        dup2(dirfd_, 40);
        execl(probe, probe, path, (char *) NULL);
        _exit(255);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
        fail_msg("jail_probe: status %d", status);
    }
}


static int
setup(void **state)
{
    (void) state;

    program = getenv("WRT_TEST_THUMB");

    if (program == NULL || VIPS_INIT("test_thumb") != 0
        || mkdtemp(dir) == NULL)
    {
        fprintf(stderr, "no WRT_TEST_THUMB, no libvips or no directory\n");
        return -1;
    }

    vips_concurrency_set(1);
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return dirfd_ < 0;
}


/* Nothing lies about. */
static int
teardown(void **state)
{
    int             n;
    DIR            *d;
    struct dirent  *e;

    (void) state;

    d = opendir(dir);

    for (n = 0; (e = readdir(d)) != NULL; n++) {
        /* void */
    }

    closedir(d);
    close(dirfd_);
    vips_shutdown();

    return n == 2 && rmdir(dir) == 0 ? 0 : -1;
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(real_files),
        cmocka_unit_test(looks),
        cmocka_unit_test(orientations),
        cmocka_unit_test(bombs),
        cmocka_unit_test(damaged),
        cmocka_unit_test(other_loaders),
        cmocka_unit_test(strange_children),
        cmocka_unit_test(endless),
        cmocka_unit_test(orphan),
        cmocka_unit_test(jail)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
