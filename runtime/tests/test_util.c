/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/wait.h>
#include "check.h"
#include "limits.h"
#include "util.h"

static void test_numbers(void)
{
	static const char *const refused[] = {
		"", " ", "-1", "+1", "0x0", "1x", " 1", "1 ", "1:", "256", "18446744073709551616",
		"99999999999999999999999999",
	};
	uint64_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		CHECK(!parse_uint(refused[i], 0, 255, &n));
	CHECK(n == 77);                 /* a refused text leaves the number alone */
	CHECK(parse_uint("0", 0, 255, &n) && n == 0);
	CHECK(parse_uint("007", 0, 255, &n) && n == 7);
	CHECK(parse_uint("255", 0, 255, &n) && n == 255);
	CHECK(!parse_uint("4", 5, 9, &n));
	CHECK(parse_uint("0", 0, 0, &n) && n == 0);
	CHECK(!parse_uint("1", 0, 0, &n));
	CHECK(parse_uint("18446744073709551615", 0, UINT64_MAX, &n) && n == UINT64_MAX);
	CHECK(!parse_uint("18446744073709551616", 0, UINT64_MAX, &n));
}

static void test_names(void)
{
	char name[NAME_LEN_MAX + 2];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK(!name_ok(name));
	name[NAME_LEN_MAX] = '\0';
	CHECK(name_ok(name));
	CHECK(name_ok("a") && name_ok("0") && name_ok("app_bash") && name_ok("a.b-c"));
	CHECK(!name_ok("") && !name_ok(".") && !name_ok("..") && !name_ok("-a") && !name_ok("_a"));
	CHECK(!name_ok("a/b") && !name_ok("a b") && !name_ok("a\n") && !name_ok("\xc3\xa4"));
}

static void test_errors(void)
{
	errno = ENOENT;
	CHECK(err_set("open %s", "config") == -1);
	CHECK(errno == ENOENT);
	CHECK_TEXT(err_text(), "open config: No such file or directory");
	err_hint("make %s", "it");
	CHECK_TEXT(err_hint_text(), "make it");
	errno = 0;
	err_set("plain");
	CHECK_TEXT(err_text(), "plain");
	CHECK_TEXT(err_hint_text(), "");        /* a new error has no old hint */
	errno = EPERM;
	CHECK(err_plain("no %d", 5) == -1);
	CHECK_TEXT(err_text(), "no 5");
}

/* Runs die() in a child and gives what it printed. */
static void die_says(const char *subject, const char *hint, const char *want)
{
	char got[256] = "";
	int pipefd[2], status = 0;
	pid_t pid;

	CHECK(pipe(pipefd) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(pipefd[1], STDERR_FILENO);
		err_subject(subject);
		err_plain("mount /proc");
		if (hint != NULL)
			err_hint("%s", hint);
		die(EXIT_OWN);
	}
	close(pipefd[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(read(pipefd[0], got, sizeof(got) - 1) > 0);
	close(pipefd[0]);
	CHECK_TEXT(got, want);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OWN);
}

static void test_long_error(void)
{
	char path[3 * PATH_LEN_MAX];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	errno = ENOENT;
	err_set("open %s", path);
	err_hint("%s", path);
	CHECK(strncmp(err_text(), "open xxx", 8) == 0);
	CHECK(strlen(err_text()) < 2 * PATH_LEN_MAX);
}

int main(void)
{
	test_numbers();
	test_names();
	test_errors();
	test_long_error();
	die_says("web", "run it as root", "sampan: web: mount /proc\n  hint: run it as root\n");
	die_says("web", NULL, "sampan: web: mount /proc\n");
	die_says(NULL, NULL, "sampan: mount /proc\n");
	return check_end();
}
