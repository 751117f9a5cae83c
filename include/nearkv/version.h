/* nearkv/version.h - the version, written once: the Makefile reads it from here. */
#ifndef NEARKV_VERSION_H
#define NEARKV_VERSION_H

#define NKV_VERSION_MAJOR 0
#define NKV_VERSION_MINOR 1
#define NKV_VERSION_PATCH 0

#endif
