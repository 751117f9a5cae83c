/* conn/member.c - see member.h. */
#include "conn/member.h"

#include <string.h>

/* ---- what its lanes tell --------------------------------------------------------------------- */

static bool on_open(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *outer = &((nkvi_member *)ud)->outer;
    return outer->on_open(outer->ud, peer);
}

static void on_close(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *outer = &((nkvi_member *)ud)->outer;
    outer->on_close(outer->ud, peer);
}

static void on_push(void *ud, nkvi_peer *peer, const nkv_reply *push)
{
    const nkvi_peer_handler *outer = &((nkvi_member *)ud)->outer;
    outer->on_push(outer->ud, peer, push);
}

static void note(nkvi_member *member, bool up)
{
    if (up != member->up) {
        member->up = up;
        member->changed(member, up);
    }
}

static void on_change(void *ud, nkvi_peer *peer, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    nkvi_member *member = ud;
    note(member, info->state != NKVI_LANE_DOWN);
    member->outer.on_change(member->outer.ud, peer, info, cause);
}

static void on_state(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *outer = &((nkvi_member *)ud)->outer;
    outer->on_state(outer->ud, peer);
}

void nkvi_member_look(nkvi_member *member)
{
    if (member->awake && member->peer.tracked == NULL) {
        nkvi_lane_info info;
        nkvi_lane_get_info(member->peer.data, &info);
        note(member, info.state != NKVI_LANE_DOWN);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

nkv_status nkvi_member_open(nkvi_member *member, const nkvi_connector_config *config,
                            const char *host, int port, nkv_error *error)
{
    member->outer = config->handler;
    member->config = *config;
    member->config.lane.endpoint.host = host;
    member->config.lane.endpoint.port = port;
    member->config.lane.vouch_if_told = true;
    member->config.handler = (nkvi_peer_handler){.on_open = on_open,
                                                 .on_close = on_close,
                                                 .on_push = on_push,
                                                 .on_change = on_change,
                                                 .on_state = on_state,
                                                 .ud = member};
    return nkvi_peer_open(&member->peer, &member->config, error);
}

void nkvi_member_close(nkvi_member *member)
{
    nkvi_peer_close(&member->peer, &member->config);
}

void nkvi_member_wake(nkvi_member *member)
{
    if (!member->awake) {
        member->awake = true;
        atomic_store(&member->shown, true);
        nkvi_lane_start(nkvi_member_lane(member));
    }
}

void nkvi_member_rest(nkvi_member *member)
{
    member->awake = false;
    atomic_store(&member->shown, false);
    if (member->peer.tracked != NULL) {
        nkvi_lane_rest(member->peer.tracked);
    }
    nkvi_lane_rest(member->peer.data);
    nkvi_bulk_hang_up(member->peer.bulk);
    note(member, false);
}

static bool is_flying(nkvi_lane *lane)
{
    nkvi_lane_info info;
    nkvi_lane_get_info(lane, &info);
    return info.state != NKVI_LANE_DOWN && info.inflight > 0;
}

bool nkvi_member_busy(nkvi_member *member)
{
    const nkvi_peer *peer = &member->peer;
    nkvi_bulk_info bulk;
    nkvi_bulk_get_info(peer->bulk, &bulk);
    return bulk.at_work > 0 || is_flying(peer->data) ||
           (peer->tracked != NULL && is_flying(peer->tracked));
}
