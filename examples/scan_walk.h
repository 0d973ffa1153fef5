/* scan_walk.h - finds the files to scan. */
#ifndef SCAN_WALK_H
#define SCAN_WALK_H

#include "scan_rows.h"

/* Adds a row for the file, or for each file in the folder and below it, in the order of their names.  Symbolic
 * links are followed.  What cannot be scanned has a row that says why: a name that stands for nothing, a folder
 * that cannot be read or that leads back to one it lies in, a fifo, a socket, a device.  Of the folders below the
 * one named here, hidden ones (.git) and build folders (those with a CMakeCache.txt) are left out and counted. */
void scan_walk(struct scan_list *list, const char *path);

#endif
