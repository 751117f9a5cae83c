/* conn/sentinel_reply.h - what sentinels answer and announce.
 *
 *      SENTINEL GET-MASTER-ADDR-BY-NAME service   [ip port], or nil     who is the primary
 *      SENTINEL MASTER service                    {name ip port flags …}
 *      SENTINEL REPLICAS service                  [{ip port flags master-link-status …} …]
 *      SENTINEL SENTINELS service                 [{ip port …} …]       the others
 *
 *      +switch-master    service 10.0.0.1 6379 10.0.0.2 6379
 *      +sdown            slave NAME 10.0.0.1 6379 @ service 10.0.0.2 6379
 *      +odown            master service 10.0.0.2 6379 #quorum 3/2
 *
 * Both protocols; SLAVES and MASTERS' element are the same as REPLICAS and MASTER.
 * Threads  [any]: pure, but for memory. */
#ifndef NKVI_CONN_SENTINEL_REPLY_H
#define NKVI_CONN_SENTINEL_REPLY_H

#include <stdbool.h>

#include <nearkv/value.h>

#include "conn/address.h"

#define NKVI_SENTINEL_LIST_MAX 1024

typedef struct nkvi_sentinel_address {
    char host[NKVI_HOST_SIZE];
    int port;
} nkvi_sentinel_address;

/* ---- Answers --------------------------------------------------------------------------------- */

/* The primary's address.  Returns NKV_OK · NKV_NOT_FOUND (the sentinel does not know the service) ·
 * NKV_EPROTO (error says why).  Else than on NKV_OK *out is empty. */
nkv_status nkvi_sentinel_address_parse(const nkv_reply *reply, nkvi_sentinel_address *out,
                                       nkv_error *error);

/* What sentinels think of a server. */
typedef struct nkvi_sentinel_node {
    nkvi_sentinel_address at;
    bool subjectively_down; /* this sentinel finds it down */
    bool objectively_down;  /* so many do that it is */
    bool disconnected;      /* this sentinel has no connection to it */
    bool link_up;           /* a replica that is connected to its primary */
    uint64_t epoch;         /* of the configuration that names a primary; 0: not told */
} nkvi_sentinel_node;

/* SENTINEL MASTER.  Returns as above; «No such master» is NKV_NOT_FOUND. */
nkv_status nkvi_sentinel_primary_parse(const nkv_reply *reply, nkvi_sentinel_node *out,
                                       nkv_error *error);

typedef struct nkvi_sentinel_list {
    nkvi_sentinel_node *nodes;
    size_t n;
} nkvi_sentinel_list;

/* The replicas that can be used: neither down nor disconnected.  Others, and those without an
 * address yet, are left out; link_up says whether one is up to date.
 *
 *   out   NKV_OK: to be cleared; else empty
 *
 * Returns NKV_OK · NKV_NOT_FOUND · NKV_EPROTO (not understood, or more than 1024) · NKV_ENOMEM. */
nkv_status nkvi_sentinel_replicas_parse(const nkv_reply *reply, nkvi_sentinel_list *out,
                                        nkv_error *error);

/* The other sentinels, those that are down included: they may be back when they are needed.  As
 * above. */
nkv_status nkvi_sentinel_others_parse(const nkv_reply *reply, nkvi_sentinel_list *out,
                                      nkv_error *error);

/* Frees it; empty afterwards. */
void nkvi_sentinel_list_clear(nkvi_sentinel_list *list);

/* ---- Announcements --------------------------------------------------------------------------- */

/* A message or pmessage of a subscription, as push or as array.  false: it is none. */
bool nkvi_message_parse(const nkv_reply *reply, nkv_str *channel, nkv_str *payload);

typedef struct nkvi_switch {
    nkv_str service; /* these are views into the payload */
    nkv_str old_host, new_host;
    int old_port, new_port;
} nkvi_switch;

/* The payload of +switch-master.  false: it is none; *out is all 0. */
bool nkvi_switch_parse(nkv_str payload, nkvi_switch *out);

typedef struct nkvi_sentinel_event {
    nkv_str service; /* whom it concerns; a view into the payload */
    bool refresh;    /* who is the primary, or which servers can be used, may have changed */
    bool switched;   /* it is +switch-master; `to` is filled */
    nkvi_switch to;
} nkvi_sentinel_event;

/* An announcement on any channel.  false: it concerns no service (+new-epoch, +tilt), or cannot be
 * understood; *out is all 0. */
bool nkvi_sentinel_event_parse(nkv_str channel, nkv_str payload, nkvi_sentinel_event *out);

#endif
