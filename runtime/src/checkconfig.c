/* SPDX-License-Identifier: MIT */
#include "sampan.h"
int cmd_checkconfig(int argc, char **argv) { (void)argc; (void)argv; return 0; }
