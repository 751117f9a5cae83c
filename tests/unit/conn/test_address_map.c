/* tests/unit/conn/test_address_map.c - where servers are reached that announce something else. */
#include "conn/address_map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/address.h"

static nkvi_address_map *map;

static void use(const char *text)
{
    nkv_error error;
    nkvi_address_map_free(map);
    cr_assert_eq(nkvi_address_map_parse(text, &map, &error), NKV_OK, "%s: %s", text, error.text);
}

static void done(void)
{
    nkvi_address_map_free(map);
    map = NULL;
}

static void assert_reached(const char *host, int port, const char *at_host, int at_port)
{
    char out[NKVI_HOST_SIZE];
    int out_port = -1;
    nkvi_address_map_apply(map, host, port, out, sizeof out, &out_port);
    cr_assert_str_eq(out, at_host, "%s:%d", host, port);
    cr_assert_eq(out_port, at_port, "%s:%d", host, port);
}

Test(conn_address_map, without_a_map_nothing_changes, .fini = done)
{
    use(NULL);
    cr_assert_null(map);
    assert_reached("h", 7000, "h", 7000);
    use("");
    cr_assert_null(map);
    assert_reached("", 7000, "", 7000);
}

Test(conn_address_map, one_entry_of_each_form, .fini = done)
{
    use("10.0.0.1:6379=localhost:7001,10.0.0.2=far.example.com,10.0.0.3=far:7003,10.0.0.4:1=h,"
        "*:5=five,*:6=six:60");
    assert_reached("10.0.0.1", 6379, "localhost", 7001);
    assert_reached("10.0.0.1", 6380, "10.0.0.1", 6380);
    assert_reached("10.0.0.2", 6379, "far.example.com", 6379);
    assert_reached("10.0.0.3", 6379, "far", 7003);
    assert_reached("10.0.0.4", 1, "h", 1);
    assert_reached("10.0.0.4", 2, "10.0.0.4", 2);
    assert_reached("any", 5, "five", 5);
    assert_reached("any", 6, "six", 60);
    assert_reached("any", 7, "any", 7);
}

Test(conn_address_map, a_star_is_any_host, .fini = done)
{
    use("*=127.0.0.1");
    assert_reached("10.0.0.1", 7000, "127.0.0.1", 7000);
    assert_reached("", 7001, "127.0.0.1", 7001);
    use("*:7000=h:1");
    assert_reached("10.0.0.1", 7000, "h", 1);
    assert_reached("10.0.0.1", 7001, "10.0.0.1", 7001);
    use("*=h:1");
    assert_reached("10.0.0.1", 7001, "h", 1);
}

Test(conn_address_map, the_most_exact_entry_decides, .fini = done)
{
    static const char *const orders[] = {"*=any,*:1=port,h=host,h:1=both",
                                         "h:1=both,h=host,*:1=port,*=any",
                                         "h=host,*=any,h:1=both,*:1=port"};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        use(orders[i]);
        assert_reached("h", 1, "both", 1);
        assert_reached("h", 2, "host", 2);
        assert_reached("g", 1, "port", 1);
        assert_reached("g", 2, "any", 2);
    }
}

Test(conn_address_map, ipv6_stands_in_brackets, .fini = done)
{
    use("[fe80::1]:6379=[::1]:7001,[fe80::2]=[::1],[fe80::3%eth0]=h");
    assert_reached("fe80::1", 6379, "::1", 7001);
    assert_reached("FE80::2", 6379, "::1", 6379);
    assert_reached("fe80::3%eth0", 1, "h", 1);
    assert_reached("fe80::1", 6380, "fe80::1", 6380);
}

Test(conn_address_map, names_have_no_case_and_are_whole, .fini = done)
{
    use("Node-1.Example.com=h");
    assert_reached("nODE-1.eXAMPLE.COM", 1, "h", 1);
    assert_reached("node-1.example.co", 1, "node-1.example.co", 1);
    assert_reached("node-1.example.com.", 1, "node-1.example.com.", 1);
}

/* An answer is not looked up again. */
Test(conn_address_map, is_applied_once, .fini = done)
{
    use("a=b,b=c");
    assert_reached("a", 1, "b", 1);
}

Test(conn_address_map, may_write_where_it_reads, .fini = done)
{
    char host[NKVI_HOST_SIZE] = "10.0.0.1";
    int port = 1;
    use("10.0.0.2=h");
    nkvi_address_map_apply(map, host, port, host, sizeof host, &port);
    cr_assert_str_eq(host, "10.0.0.1");
    use("10.0.0.1=h:2");
    nkvi_address_map_apply(map, host, port, host, sizeof host, &port);
    cr_assert(strcmp(host, "h") == 0 && port == 2);
}

Test(conn_address_map, what_is_wrong_is_refused_with_its_place)
{
    static const struct {
        const char *text, *says;
    } refused[] = {
        {"h", "entry 1: ANNOUNCED=REACHABLE"},
        {",", "entry 1: ANNOUNCED=REACHABLE"},
        {"a=b,", "entry 2: ANNOUNCED=REACHABLE"},
        {"a=b,,c=d", "entry 2: ANNOUNCED=REACHABLE"},
        {"a=b;c=d", "entry 1: what is reachable"},
        {"=", "entry 1: what is announced"},
        {"=h", "entry 1: what is announced"},
        {":1=h", "entry 1: what is announced"},
        {"a=", "entry 1: what is reachable"},
        {"a=:1", "entry 1: what is reachable"},
        {"a=*", "entry 1: what is reachable"},
        {"a=*:1", "entry 1: what is reachable"},
        {"a=b=c", "entry 1: what is reachable"},
        {"a:0=b", "entry 1: what is announced"},
        {"a:65536=b", "entry 1: what is announced"},
        {"a:=b", "entry 1: what is announced"},
        {"a:x=b", "entry 1: what is announced"},
        {"a=b:0", "entry 1: what is reachable"},
        {"a=b:1x", "entry 1: what is reachable"},
        {"::1=h", "entry 1: what is announced"},
        {"::1:1=h", "entry 1: what is announced"},
        {"[::1=h", "entry 1: what is announced"},
        {"[]=h", "entry 1: what is announced"},
        {"[]:1=h", "entry 1: what is announced"},
        {"[::1]1=h", "entry 1: what is announced"},
        {"[::1]:=h", "entry 1: what is announced"},
        {"[h]=g", "entry 1: what is announced"},
        {"[*]:x=h", "entry 1: what is announced"},
        {"a=b, c=d", "entry 2: what is announced"},
        {"a =b", "entry 1: what is announced"},
        {"**=b", "entry 1: what is announced"},
        {"*.example.com=b", "entry 1: what is announced"},
        {"a=b,c=d,A=e", "entry 3: an earlier one"},
        {"*:1=b,*:1=c", "entry 2: an earlier one"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        nkvi_address_map *out = map;
        nkv_error error;
        cr_assert_eq(nkvi_address_map_parse(refused[i].text, &out, &error), NKV_EINVAL, "%s",
                     refused[i].text);
        cr_assert_eq(error.status, NKV_EINVAL);
        cr_assert_not_null(strstr(error.text, refused[i].says), "%s: %s", refused[i].text,
                           error.text);
        cr_assert_null(out);
    }
}

Test(conn_address_map, has_room_for_1024_entries, .fini = done)
{
    char *text = malloc(1025 * 16), *end = text;
    for (int i = 0; i < 1024; i++) {
        end += snprintf(end, 16, "%sn%d=h:%d", i > 0 ? "," : "", i, i + 1);
    }
    use(text);
    assert_reached("n1023", 5, "h", 1024);
    (void)snprintf(end, 16, ",x=h");
    nkvi_address_map *out;
    nkv_error error;
    cr_assert_eq(nkvi_address_map_parse(text, &out, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "1024"));
    free(text);
}

Test(conn_address_map, a_host_has_a_length, .fini = done)
{
    char text[300];
    for (int len = 255; len <= 256; len++) {
        nkvi_address_map *out;
        memset(text, 'h', (size_t)len);
        (void)snprintf(text + len, sizeof text - (size_t)len, "=h");
        cr_assert_eq(nkvi_address_map_parse(text, &out, NULL), len == 255 ? NKV_OK : NKV_EINVAL);
        nkvi_address_map_free(out);
    }
}
