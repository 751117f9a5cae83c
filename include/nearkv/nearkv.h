/* nearkv/nearkv.h - everything: a client-side cache over Redis and Valkey that the server keeps
 * honest. */
#ifndef NEARKV_NEARKV_H
#define NEARKV_NEARKV_H

#include <nearkv/abi.h>
#include <nearkv/batch.h>
#include <nearkv/cache.h>
#include <nearkv/client.h>
#include <nearkv/connector.h>
#include <nearkv/event.h>
#include <nearkv/kv.h>
#include <nearkv/lmcache.h>
#include <nearkv/stats.h>
#include <nearkv/status.h>
#include <nearkv/value.h>
#include <nearkv/version.h>

#endif
