/* tests/unit/lmcache/test_chain.c - chunk hashes against those of Python: hash() of CPython 3.12,
 * which 3.8 to 3.13 agree with (in the rows of EXTRA_NONE and BUILTIN 3.12 and later), hashlib, and
 * CBOR written down by hand from RFC 8949. */
#include "unit/lmcache/hex.h"

#include <limits.h>

#define LONG_TOKENS 5000

/* ---- What is hashed -------------------------------------------------------------------------- */

typedef enum root { NO_ROOT, ZERO, SEED_0, NEGATIVE, LARGEST, SHORT } root;

typedef enum pattern {
    LINE,  /* 0 to 867: three chunks of 256 and one of 100 */
    EDGES, /* where the encodings change, then [5], [-1], [2^61 - 1, -(2^61) + 1] */
    LONG   /* 5000 cubes in one chunk */
} pattern;

typedef struct vector {
    nkv_lmcache_algorithm algorithm;
    nkv_lmcache_extra extra;
    root root;
    pattern pattern;
    const char *hashes[4]; /* as keys of K5 spell them; NULL: there is no such chunk */
} vector;

static const vector vectors[] = {
    {NKV_LMCACHE_CHAIN_SHA256,
     NKV_LMCACHE_EXTRA_EMPTY,
     NO_ROOT,
     LINE,
     {"bbd330b12e8159e117376ef24fa106413bc9fc18032a0d43e95c5dae5e47953f",
      "da67b0aaefba655d2edadd2cc5d11cd4564db9059ccf6264056d62d170b11ff5",
      "429f4acbcec300e52ede08b7bf23f7c7c09201b552a98de7e11ae498eb160930",
      "f12652f81429f392208ed399def61d8b11a1afafdef9a743ac52cd767b72c53b"}},
    {NKV_LMCACHE_CHAIN_SHA256,
     NKV_LMCACHE_EXTRA_EMPTY,
     NO_ROOT,
     EDGES,
     {"4e0baaffb99657df027431ecb3728fe568e5720b8aa839726313fde75becc80e",
      "2c01222208c4cb9526abad716ced3669559c2cf14e1e8111013056466523b01a",
      "c1cbee3799a468d47657ffb06564f5a0a036c01d9e963462df60b99508b7b921",
      "b56b051461a9635be184267c904f2467c04cea0cdc953c3de9a7c84fba257f6f"}},
    {NKV_LMCACHE_CHAIN_SHA256,
     NKV_LMCACHE_EXTRA_EMPTY,
     NO_ROOT,
     LONG,
     {"bf62967c64bd05d3a0ff05599abb6db609a997233c093f869e8b481dccbd3074"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     LINE,
     {"2b763dd00afa89c8", "79e62c807b48385b", "-33f9bce42327706c", "2a85c9aa41b18bb8"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     EDGES,
     {"28b15ee4c7b455f6", "1064ff2c2f2eef45", "-2662924d7b9a56c9", "-13d7e1be57514835"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_EMPTY, ZERO, LONG, {"-4ed72317d3f60e09"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     LINE,
     {"-5ddf04dd0a46009d", "-4525e4e6a520af15", "-4d691bbd933c7627", "-6cacadccb2206921"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     EDGES,
     {"124a2862c88010a", "-62070b98fe1121a7", "3fe6f6282f150d07", "6752c235d0bfc390"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_EMPTY, NEGATIVE, LONG, {"-7663df766f2262f5"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     LINE,
     {"-5c0fd9c61a0758dd", "-6bd3e0b84c70f55d", "-692f411f5a4db841", "-4c6a09f5d9c2b602"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     EDGES,
     {"33b074d5558943c0", "-3fe3d2f5f2d148d", "1b0b06a87936d138", "2b20fe28b3ea5844"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_EMPTY, LARGEST, LONG, {"-43d80d274621203f"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     LINE,
     {"-6ac50906de809457", "1c8758503e140605", "-1726050f10155d5a", "-5d00c503afaa5344"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     EDGES,
     {"3148b918d84d6d50", "-2784e2c2a143a511", "4088c219d3c3ceea", "-6e5e6cbb2bf66acc"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_NONE, ZERO, LONG, {"7cb61c5fbca30951"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     LINE,
     {"6dae3a9a865316bd", "-18135604d4943129", "-2ebb78a3a970d0b5", "-7e78215cbdd88e44"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     EDGES,
     {"6ae95baf430ce2eb", "548aa769fe3e26ec", "-dd58b3da0398024", "-fdfd79fb459fd2d"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_NONE, NEGATIVE, LONG, {"552960012176b465"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     LINE,
     {"db4df62fc7d8904", "-3a2dc1ef77535e0e", "-3b3a5875f490d4bd", "7002293e5e645e31"}},
    {NKV_LMCACHE_CHAIN_BUILTIN,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     EDGES,
     {"-c24bb319dda4e6", "25f448c960218d6b", "190cdded0aef4597", "-4c5d1a940834d50f"}},
    {NKV_LMCACHE_CHAIN_BUILTIN, NKV_LMCACHE_EXTRA_NONE, LARGEST, LONG, {"-784acdafb58808e5"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     SEED_0,
     LINE,
     {"b8a960cfcc69e7a5", "cc309e143d545625", "2735f8b676ab7a28", "5df4f4f915997ed8"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     SEED_0,
     EDGES,
     {"39632e0e8b439c20", "45a563111ab7bc66", "c7ec6d393fceda58", "8f2e9859fa403ec4"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_EMPTY, SEED_0, LONG, {"ddb038be3fab17eb"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     LINE,
     {"ffc58acb88244190", "6d46bded3cc7e749", "84ef7f6ccb3708c1", "2f48ac66898c18e8"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     EDGES,
     {"7c8635152a46ba75", "12357652b6de9e24", "b5caac39e4e2818f", "3a6c4c3750bfbe24"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_EMPTY, ZERO, LONG, {"cff2176f0581be95"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     LINE,
     {"bd8c9f043a05a47d", "6239dee5a950011b", "9debb23f0576beb7", "d35e34d5768e8e28"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     EDGES,
     {"93f8d8f9f62e02cc", "c6bc9defa8923454", "9c8e94f65243cad8", "c1e19fbbfbf97985"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_EMPTY, NEGATIVE, LONG, {"2cd7bf68222ef945"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     LINE,
     {"7ec36f68a9e60f2e", "30a555b0fc6a4360", "655812fb3550f8a", "664b97f32ff2d381"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     EDGES,
     {"b76c744fa036ce80", "10abfc37117d05b3", "70d7048823d9470", "453b7354b66ec0f9"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_EMPTY, LARGEST, LONG, {"a60b3f8b5034f671"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     SHORT,
     LINE,
     {"5d6872cf5fe4db33", "6d7609e99a553a5c", "4e58ab669a0971ae", "351be9ba6d54a66b"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_EMPTY,
     SHORT,
     EDGES,
     {"8d5ba1ef76541185", "96117d3076c6465f", "e3422ce9d6d667e0", "fd99e52689dd5f12"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_EMPTY, SHORT, LONG, {"ccd82b167e16e6cb"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     SEED_0,
     LINE,
     {"6492fa547b20b3ff", "97b9bb55fd59e881", "b598a3ad737d71d1", "292e77c7411303a3"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     SEED_0,
     EDGES,
     {"e2cb1422fade0737", "67ffb889b9893621", "db6b8b743675d056", "cbe2fa90ccfa6eb3"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_NONE, SEED_0, LONG, {"39d99595acd14bf0"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     LINE,
     {"4e7cf94e520a077e", "5eb2659cdb471ff9", "3fe709d9e546eb44", "3ae3a0f0fcc7f18b"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     EDGES,
     {"35567bc81e611520", "e020357861b0866a", "3230d974689d5273", "ae73d55a69ce014f"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_NONE, ZERO, LONG, {"b2467283f04dcaf"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     LINE,
     {"998ae36492a7ace5", "e1471b5f4fd5e6e0", "d6c14179ad1912f7", "4a08a26eecb044a6"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     EDGES,
     {"5dcc25e9300b293c", "3b86f0a9811f8183", "4ff5dc660eb42c7d", "f802fe3e65cdeffe"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_NONE, NEGATIVE, LONG, {"17ac3cdab8562723"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     LINE,
     {"433912511e83ed9f", "27e013ffd4c51f1a", "e1a4c9aeb3b5342e", "9ec7d2edb8694bdb"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     EDGES,
     {"c38fc13881bce086", "ff657e7122a7b593", "ab40483e799714aa", "4db553da2b39e675"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_NONE, LARGEST, LONG, {"4f7a76c10436fa56"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     SHORT,
     LINE,
     {"8d4a7e6c9d921177", "be847b421dc04423", "9a1c2d9081d4b03", "65c4e030b117257d"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED,
     NKV_LMCACHE_EXTRA_NONE,
     SHORT,
     EDGES,
     {"3648c80affdbdc8d", "5c72b88c7950fe02", "4b0cfe14f9ea7810", "8d35eee76af91e80"}},
    {NKV_LMCACHE_CHAIN_CBOR_FOLDED, NKV_LMCACHE_EXTRA_NONE, SHORT, LONG, {"bdb5b2e8c4099176"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SEED_0,
     LINE,
     {"8b81dbad38c4b07b71e4def300d2cc1cf7e45ae1ee2ec983e0f92070d955e2dc",
      "781718220b72190ce94eeac369ffd9845a1ce1f72fd9639121f2fea4248401a5",
      "98557d3f7a8bd1ac3fce26c29d0d237bec1260938f259fff2ac649d12d0fdab5",
      "f25c9578383d7ec289e4386c87a9268365234fb82248a30777adf6d57b8a2ce0"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SEED_0,
     EDGES,
     {"5bdfe998f9808644bc443fe0a6e94e9d6261e4a4ac5aac7a5e18027fae3caab0",
      "0ed2fbf70123b6fbbe7ca8681486142cafcfcac6ccfd3e316cc0bd00f2e99284",
      "c1b75c951b1a0c9c1068b61b1bb4c14d99e5b57de307ae81755e4fcaea6a5e50",
      "23792f6993f10c7bc8834abfe24029e2343cb56c2d7eb7afbb4945782e6d751b"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SEED_0,
     LONG,
     {"a3c0b8d0b66710c55d6d513d51ce812401f065b21a8ff5dbb58b4c61d992b778"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     LINE,
     {"ffc58acb88244190ebd4b87f67dd2c73908b4d8849ac5d2b1ce4fee8c615a984",
      "1f696318ac9b72c6e408e90353a885cf91add21c830bea7a9202a85dce747f37",
      "c2f465247c83f95a869d1806a26b5b34a190702a534978ab9d0f3fb442d0d78a",
      "a3c3b75fb1371d9a8ecb107f89ff07348627f5672251adfd72bfb2674bd17641"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     EDGES,
     {"7c8635152a46ba75a2b761e2542b6c97709cf82475eb15e731f7cb91e426a06c",
      "c5a4f9f9774524f56e753eadca3f47565ea928692a7cfaa473f5b41d726010f8",
      "25df976e107b7c3ce78542d62649de7e82579a233b016d3c5e2d83223a459a53",
      "435b204f207bfe17de6adb0c138d36158d77a5057ccdd2d2d37a7dd88986e877"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     ZERO,
     LONG,
     {"cff2176f0581be95f35a353772affb828ecc41d2ba93954dbbbd58b464ae10de"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     LINE,
     {"bd8c9f043a05a47d2215bca3ee01cd55340eb14517756b0cc8e63677baab3d97",
      "4848fc9e3f6851c6290cafbbdd76c9d4ee95dad59406aee50f79aee448660b90",
      "12ff15826ed82ebb286d1552eebc9487f89c39d3b23912c30f1e0e065e4f6a76",
      "9497aec82247b40e23968e2686485c3f330fca0abbbc51c33143bac8d00b4ae2"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     EDGES,
     {"93f8d8f9f62e02cce5c4083182dba83e3d2a6c31534c24e42aef73474495e830",
      "5cfe0fcb7c9c6b662fc0fcd894a90c2baea4204f0bf858490f8b4bfb6841beee",
      "77114597e2b08f85d4e65356495e88385eccce61b853fe9729d28921088aa294",
      "4339a0980c6100c67e5592fbda184e69a6b330d84e10a7bf330ed3f01e4bde8c"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     NEGATIVE,
     LONG,
     {"2cd7bf68222ef9450458a44d54db7e0d04ffdd79aa19b3e12358d2315c632cdd"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     LINE,
     {"7ec36f68a9e60f2ebc2460e816e684949ea9f95d1757624dccd116aba4010d62",
      "45f5b9df9e5dfe81f17984aa030ba299d69684fda31b3155efda0311f618e33c",
      "851af0eadb66d907dd9af3be5271c6eb2b4e1e5f6e1006415b7fc17cf9bb0ed1",
      "b7e4453d0c124e9f52954ec8ea5443c30c12569e9ff48a0bccc38009015857b8"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     EDGES,
     {"b76c744fa036ce800f325a1aa24bd51d32da1b385efb1a71b0fd6f7a845cb532",
      "e99f455eac801c8a6d6deecb76212baff68fca3fd2741673715fa1e863c9010f",
      "432e1408142e386eccd57133212902fedadcf5cd6dfefe02c182a0f46f58d8c7",
      "fa9b7e959e4b53587e402aaff3055b341ee10b0ef54d8955f22743a6420332b4"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     LARGEST,
     LONG,
     {"a60b3f8b5034f6713df5adbc7f14c8179836ac4dc3301123b32b24b11bb76d7f"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SHORT,
     LINE,
     {"033ede7b0784f1ffe5838769a383060c69cd816da26c177f1ea691be089f19d4",
      "b5e49897881f0f1cabcac18ef19c816ef794a54f8f62b13552ebf7c2ac51560e",
      "613438567257d5bda1b8abe6a7d68e7ebc17e43ab6f942242978d5af332c8874",
      "988909613e05cd2d2423b0a76fe95d1aa6ee00ec0b7578864fb096fcd2810ce8"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SHORT,
     EDGES,
     {"829911cd3f1fe2a9a60aa7e73bad063bce57855291fa23ad2d1cdc74bc80be9a",
      "b046758b1249078a49e1b6c5c18be91f048eb1734a293092be6f29cfeaed190c",
      "04cb193fefb014ea005a239eb9b93370ab8fe8f0cf4c366f6fa963de4ddb8bab",
      "22c747a14bac28db4949d4e55a736f923d46cbe60805648cd62e9bdec60da84d"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_EMPTY,
     SHORT,
     LONG,
     {"046d23e2450efb63dbb8aac3b73c1dd95261d40d7c84f7696bf23f3fed493448"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SEED_0,
     LINE,
     {"f3de83132fabc7fa86835e24f2a2008df215e9d03ba998de8e1aaa1431327685",
      "371af08f4403543b92424de857c05f7e7e941c51fc259b7b6c5de7956b6adb7e",
      "165709656d55bc162e3653835c425ba1d5edaeffd6658f2dddabb2993e5bec1a",
      "75df1b6146ea9a5576c21af44448a9c29af0bb08f8367bfd98dd5de60ee98d71"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SEED_0,
     EDGES,
     {"8ad3b127985818b33f93af574e2ede33db87059dff89063cf16a4d549cb352d3",
      "e59d4e4bf08dcd7526a545a260830d8c16523be00617a40a576ef503340266ee",
      "e5eb254ed7b207f9ea4d34eaa9f2f654bafef750994eb6e1134f0ddc9d53efd1",
      "a98e69b84a9dbb7c057447f8622e2b84fe83d034f7ba57719b117b871a14c27e"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SEED_0,
     LONG,
     {"6bbb93eeaa43811d8da050a0a82a6c59ef47472c079a1c8c0213af36a09f1dff"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     LINE,
     {"4e7cf94e520a077e1b1fac19149a3ceb64c42f676f93ecbc673a6cbce8976f2a",
      "67a4d36b906f0f4fe8a90399260d46a07ca0fe0a3246dff6e1e6ec2e0462041e",
      "2d205e4044ee6b31064103e2adad700226ef1920531a31910abe1946712e045a",
      "a7c3511df4dfed0b7e9954a15365ec328706ef4cd32adc678ce1795c0fdceba0"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     EDGES,
     {"35567bc81e611520d20e4993cd69e1e03e99f4dcfc32bf83f139dcf71ec81721",
      "0dff3ed8accd3cb3afe126e8ab25cf70caf3ea668d7acf931ed3b088039a6f74",
      "54a41ede3ed2ea0c2126a3584ec832c500fb926e3d53960e9134733c0a55d4b7",
      "47a60a685b9a94d24292f4142042e7aceff67719d5e9dc024f3dd25291a10545"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     ZERO,
     LONG,
     {"0b2467283f04dcaf38690a353d1b6b1b99e9d933fd73a864372d3d15cf5e839e"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     LINE,
     {"998ae36492a7ace5576d70e70605b07267814c6391d5601d4a4ffcfda46d1332",
      "9a02a3d76ce260509ff495883c8d456ce26e71c8f9d0370a9a195a9a2a2a1854",
      "eab00caefc373d251765899f121a3a07e048f48ceb6c522adc639a2d301e3f63",
      "1a3069db6e917c9785dff5bc54ab8d7817235ac09732da745fa8efbc751fcc09"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     EDGES,
     {"5dcc25e9300b293ca000ba8eb8cbff281be86941b2f0fefb555c63cae254ba38",
      "a83d3fa75b1d509b5d61d0ad0493ee3a652c80d0ed7c763915f2df283a73d688",
      "5afcea50da5bb73e886851116cde1127a9de1c857aea471c44010d815f739d42",
      "242654ba910f9739e84c0d35997298130e2ba32bb1510ea77a22d50864a133bf"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     NEGATIVE,
     LONG,
     {"17ac3cdab8562723ca4ec2f7501c07b7c8707ac52cda2960fb99123c87a4a74e"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     LINE,
     {"433912511e83ed9f90d7723d47b965770ca335bb59588770994573b5a16cf522",
      "66eaf294f95e41b56925498c482066629bed5f3c37088dffa7c8153c7a90a358",
      "2d7c41cd64b645a39edc24c88b273269b13a983323c8286f1c86ad556f55389b",
      "81bd8438499cd53a1da795f3af580169b432c6a39e934da34ed6b00edff1a7eb"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     EDGES,
     {"c38fc13881bce086e57cdcf664e6ec84a4fced2e8d1c6a95330515bfaf24abdb",
      "0df7cbdb5173f42a08e538537890da135be882b09df421ae08d53b907afdb6d3",
      "e70524f05fd6a691003bbc73b083b4491aef3c0459edecfb732314fe6374e115",
      "a6c09a2a9331ec330134221d9603e7ddc2f9f6e31d767ca3c71ad4944dc48ca0"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     LARGEST,
     LONG,
     {"4f7a76c10436fa56f70da824d28c8ab5d6bde8540d00797177b5671d88ef6ccd"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SHORT,
     LINE,
     {"7a3c021cbb7d89795868aa1526cad996498420dbf1f2f4ced9a0087cda15dd2c",
      "8ebb92eb3f13c4cb0b90732a4d334034fa617570c96ccc5f45fe9751a1f62cb7",
      "ae703c28e94830fba0ff4f4ee279058867daf8cf5d1f26585fb450048cdd1882",
      "47f95bbec95ff1c236a9fff9dbece9ad7b79e4d5d8c38488b1028622e7855f29"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SHORT,
     EDGES,
     {"18b330e78c5a63e30bb3a9917ddd7674030b025392faaf16f6da03e7b5b1fe34",
      "6c768e963a8e408e8f4f181f76a64b79749cc534ad77c21c5d86e9a1e99fd23f",
      "fba70b895b1272667cbea5f54708ead65bef88d29d4ba5cd3f3fe12784d6184a",
      "3e3e9bea6bac9c5500221600f5d1f25de60b318ae37844fbe4bd4bd196ac439d"}},
    {NKV_LMCACHE_CHAIN_CBOR,
     NKV_LMCACHE_EXTRA_NONE,
     SHORT,
     LONG,
     {"e1ef1614a09e6f7f31d36c5ae7b364f0dfa2ab5b51dad16af43de1f5b090f59d"}},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

/* The known one of vLLM under PYTHONHASHSEED=0. */
#define NONE_HASH_0 "4e1195df020de59e0d65a33a4279f1183e7ae4e5d980e309f8b55adff2e61c3e"

static const nkv_lmcache_hash *root_of(root which, nkv_lmcache_hash *hash)
{
    static const unsigned char digest[3] = {0, 1, 2};
    unsigned char seed[32];

    switch (which) {
    case NO_ROOT:
        return NULL;
    case ZERO:
        *hash = nkv_lmcache_hash_uint(0);
        break;
    case SEED_0:
        *hash = nkv_lmcache_hash_bytes(seed, t_unhex(NONE_HASH_0, seed, sizeof seed));
        break;
    case NEGATIVE:
        *hash = nkv_lmcache_hash_int(INT64_MIN);
        break;
    case LARGEST:
        *hash = nkv_lmcache_hash_uint(UINT64_MAX);
        break;
    case SHORT:
        *hash = nkv_lmcache_hash_bytes(digest, sizeof digest);
        break;
    }
    return hash;
}

#define POW(n) (INT64_C(1) << (n))

static const int64_t edges[] = {
    0,           23,           24,          255,         256,      65535,       65536,
    POW(32) - 1, POW(32),      POW(61) - 2, POW(61) - 1, POW(61),  POW(62) - 3, INT64_MAX,
    -1,          -2,           -24,         -25,         -256,     -257,        -65537,
    -POW(32),    -POW(32) - 1, 1 - POW(61), -POW(61),    INT64_MIN};

/* The tokens of chunk `i`, into room for LONG_TOKENS; how many; 0: there is no such chunk. */
static size_t chunk_of(pattern which, size_t i, int64_t *tokens)
{
    static const int64_t small[3][2] = {{5, 0}, {-1, 0}, {POW(61) - 1, 1 - POW(61)}};
    size_t n = 0;

    switch (which) {
    case LINE:
        n = i < 3 ? 256 : 100;
        for (size_t t = 0; t < n; t++) {
            tokens[t] = (int64_t)(256 * i + t);
        }
        return n;
    case EDGES:
        n = i == 0 ? sizeof edges / sizeof edges[0] : i < 3 ? 1 : 2;
        memcpy(tokens, i == 0 ? edges : small[i - 1], n * sizeof *tokens);
        return n;
    case LONG:
        for (int64_t t = 0; t < LONG_TOKENS && i == 0; t++) {
            tokens[t] = t * t * t;
        }
        return i == 0 ? LONG_TOKENS : 0;
    }
    return 0;
}

static nkv_lmcache_chain *chain_of(const vector *v)
{
    nkv_lmcache_chain_options options;
    nkv_lmcache_chain *chain;
    nkv_lmcache_hash hash;
    nkv_error error = {NKV_OK, 0, ""};

    nkv_lmcache_chain_options_init(&options);
    options.algorithm = v->algorithm;
    options.extra = v->extra;
    options.root = root_of(v->root, &hash);
    cr_assert_eq(nkv_lmcache_chain_create(&options, &chain, &error), NKV_OK, "%s", error.text);
    return chain;
}

static void assert_next(nkv_lmcache_chain *chain, const vector *v, size_t i, nkv_lmcache_hash *hash)
{
    static int64_t tokens[LONG_TOKENS];
    char text[NKV_LMCACHE_HASH_TEXT_MAX];
    size_t n = chunk_of(v->pattern, i, tokens), len;

    cr_assert_eq(nkv_lmcache_chain_next(chain, tokens, n, hash, NULL), NKV_OK);
    cr_assert_eq(nkv_lmcache_hash_text(hash, NKV_LMCACHE_K5, text, sizeof text, &len, NULL),
                 NKV_OK);
    cr_assert(len == strlen(v->hashes[i]) && memcmp(text, v->hashes[i], len) == 0,
              "vector %zu, chunk %zu: %.*s", (size_t)(v - vectors), i, (int)len, text);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

Test(lmcache_chain, hashes_are_pythons)
{
    for (size_t v = 0; v < VECTORS; v++) {
        nkv_lmcache_chain *chain = chain_of(&vectors[v]);
        nkv_lmcache_hash hash;
        for (size_t i = 0; i < 4 && vectors[v].hashes[i] != NULL; i++) {
            assert_next(chain, &vectors[v], i, &hash);
        }
        nkv_lmcache_chain_destroy(chain);
    }
}

Test(lmcache_chain, the_published_ones_are_among_them)
{
    static const char *const known[] = {
        "bbd330b12e8159e117376ef24fa106413bc9fc18032a0d43e95c5dae5e47953f",
        "429f4acbcec300e52ede08b7bf23f7c7c09201b552a98de7e11ae498eb160930",
        "2b763dd00afa89c8",
        "-33f9bce42327706c",
        "8b81dbad38c4b07b71e4def300d2cc1cf7e45ae1ee2ec983e0f92070d955e2dc",
        "98557d3f7a8bd1ac3fce26c29d0d237bec1260938f259fff2ac649d12d0fdab5",
        "b8a960cfcc69e7a5",
        "2735f8b676ab7a28",
        "ffc58acb88244190",
        "84ef7f6ccb3708c1",
    };
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        bool found = false;
        for (size_t v = 0; v < VECTORS; v++) {
            for (size_t i = 0; i < 4 && vectors[v].hashes[i] != NULL; i++) {
                found = found || strcmp(vectors[v].hashes[i], known[k]) == 0;
            }
        }
        cr_assert(found, "%s", known[k]);
    }
}

Test(lmcache_chain, it_goes_on_behind_a_known_hash)
{
    for (size_t v = 0; v < VECTORS; v++) {
        nkv_lmcache_chain *chain = chain_of(&vectors[v]);
        nkv_lmcache_chain *other = chain_of(&vectors[v]);
        nkv_lmcache_hash hash, again;

        if (vectors[v].hashes[1] != NULL) {
            assert_next(chain, &vectors[v], 0, &hash);
            cr_assert_eq(nkv_lmcache_chain_restart(other, &hash, NULL), NKV_OK);
            assert_next(other, &vectors[v], 1, &again);
            assert_next(chain, &vectors[v], 1, &again);
            cr_assert_eq(nkv_lmcache_chain_restart(chain, &hash, NULL), NKV_OK);
            assert_next(chain, &vectors[v], 1, &again);
            cr_assert_eq(nkv_lmcache_chain_restart(chain, NULL, NULL), NKV_OK);
            assert_next(chain, &vectors[v], 0, &again);
        }
        nkv_lmcache_chain_destroy(chain);
        nkv_lmcache_chain_destroy(other);
    }
}

Test(lmcache_chain, the_default_is_lmcaches_builtin_without_vllm)
{
    nkv_lmcache_chain *chain;
    nkv_lmcache_hash hash;
    int64_t tokens[256];

    cr_assert_eq(nkv_lmcache_chain_create(NULL, &chain, NULL), NKV_OK);
    cr_assert_eq(nkv_lmcache_chain_next(chain, tokens, chunk_of(LINE, 0, tokens), &hash, NULL),
                 NKV_OK);
    cr_assert_eq(hash.kind, NKV_LMCACHE_HASH_INT);
    cr_assert_eq(hash.negative, 0);
    cr_assert_eq(hash.number, 0x2b763dd00afa89c8);
    nkv_lmcache_chain_destroy(chain);
    nkv_lmcache_chain_destroy(NULL);
}

Test(lmcache_chain, none_hash_is_that_of_the_seed)
{
    static const struct {
        size_t len;
        const char *digest;
    } rows[] = {
        {0, "8d33f520a3c4cef80d2453aef81b612bfe1cb44c8b2025630ad38662763f13d3"},
        {300, "6868369228ecdc2519fd815756a7d898a80d1f81ed5cd98cc91e749edc70252d"},
    };
    char seed[300];
    unsigned char want[32];
    nkv_lmcache_hash hash;

    memset(seed, 'x', sizeof seed);
    for (size_t i = 0; i < 2; i++) {
        t_unhex(rows[i].digest, want, sizeof want);
        cr_assert_eq(nkv_lmcache_none_hash(nkv_str_make(seed, rows[i].len), &hash, NULL), NKV_OK);
        cr_assert_eq(hash.kind, NKV_LMCACHE_HASH_BYTES);
        cr_assert_eq(hash.bytes_len, 32);
        cr_assert_eq(memcmp(hash.bytes, want, 32), 0);
    }
    t_unhex(NONE_HASH_0, want, sizeof want);
    cr_assert_eq(nkv_lmcache_none_hash(nkv_cstr("0"), &hash, NULL), NKV_OK);
    cr_assert_eq(memcmp(hash.bytes, want, 32), 0);
}

/* What a folded chain begins with may be given as the digest or as its number. */
Test(lmcache_chain, a_root_may_be_folded_before)
{
    nkv_lmcache_hash number = nkv_lmcache_hash_uint(0x4e1195df020de59e), hash;
    nkv_lmcache_chain_options options;
    nkv_lmcache_chain *chain;
    int64_t tokens[256];

    nkv_lmcache_chain_options_init(&options);
    options.algorithm = NKV_LMCACHE_CHAIN_CBOR_FOLDED;
    options.root = &number;
    cr_assert_eq(nkv_lmcache_chain_create(&options, &chain, NULL), NKV_OK);
    cr_assert_eq(nkv_lmcache_chain_next(chain, tokens, chunk_of(LINE, 0, tokens), &hash, NULL),
                 NKV_OK);
    cr_assert_eq(hash.number, 0xb8a960cfcc69e7a5);
    nkv_lmcache_chain_destroy(chain);
}

static void refuses_options(const nkv_lmcache_chain_options *options, const char *text)
{
    static int something;
    nkv_lmcache_chain *chain = (nkv_lmcache_chain *)(void *)&something;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_chain_create(options, &chain, &error), NKV_EINVAL, &error, text);
    cr_assert_null(chain);
}

Test(lmcache_chain, wrong_options_are_refused_and_named)
{
    unsigned char digest[40] = {0};
    nkv_lmcache_hash none = nkv_lmcache_hash_bytes(digest, 0);
    nkv_lmcache_hash large = nkv_lmcache_hash_bytes(digest, 33);
    nkv_lmcache_hash bytes = nkv_lmcache_hash_bytes(digest, 32);
    nkv_lmcache_chain_options options;

    memset(&options, 0, sizeof options);
    refuses_options(&options, "options: nkv_lmcache_chain_options_init() was not called");
    nkv_lmcache_chain_options_init(&options);
    cr_assert_eq(options.struct_size, sizeof options);
    options.algorithm = (nkv_lmcache_algorithm)4;
    refuses_options(&options, "algorithm: allowed is BUILTIN, CBOR_FOLDED, CBOR, SHA256");
    options.algorithm = (nkv_lmcache_algorithm)-1;
    refuses_options(&options, "algorithm: allowed is");
    options.algorithm = NKV_LMCACHE_CHAIN_BUILTIN;
    options.extra = (nkv_lmcache_extra)2;
    refuses_options(&options, "extra: allowed is EMPTY or NONE");
    options.extra = NKV_LMCACHE_EXTRA_EMPTY;
    options.root = &bytes;
    refuses_options(&options, "hash: allowed is a number in chains of BUILTIN");
    options.algorithm = NKV_LMCACHE_CHAIN_SHA256;
    refuses_options(&options, "root: chains of SHA256 begin with nothing");
    options.algorithm = NKV_LMCACHE_CHAIN_CBOR;
    options.root = NULL;
    refuses_options(&options, "root: the CBOR algorithms need vLLM's NONE_HASH");
    options.algorithm = NKV_LMCACHE_CHAIN_CBOR_FOLDED;
    refuses_options(&options, "root: the CBOR algorithms need vLLM's NONE_HASH");
    options.root = &none;
    refuses_options(&options, "hash: allowed is a number, or a digest of 1 to 32 bytes");
    options.root = &large;
    refuses_options(&options, "hash: allowed is a number, or a digest of 1 to 32 bytes");
    large.kind = (nkv_lmcache_hash_kind)2;
    refuses_options(&options, "hash: allowed is a number, or a digest of 1 to 32 bytes");
}

Test(lmcache_chain, after_a_refusal_it_is_where_it_was)
{
    const vector *builtin = NULL, *sha = NULL;
    nkv_lmcache_hash number = nkv_lmcache_hash_int(-5), hash;
    nkv_lmcache_hash digest = nkv_lmcache_hash_bytes("0123456789abcdef", 16);
    nkv_error error;

    for (size_t v = VECTORS; v-- > 0;) {
        builtin = vectors[v].algorithm == NKV_LMCACHE_CHAIN_BUILTIN ? &vectors[v] : builtin;
        sha = vectors[v].algorithm == NKV_LMCACHE_CHAIN_SHA256 ? &vectors[v] : sha;
    }
    nkv_lmcache_chain *a = chain_of(builtin), *b = chain_of(sha);
    assert_next(a, builtin, 0, &hash);
    assert_next(b, sha, 0, &hash);
    t_refused(nkv_lmcache_chain_restart(a, &digest, &error), NKV_EINVAL, &error,
              "hash: allowed is a number in chains of BUILTIN");
    t_refused(nkv_lmcache_chain_restart(b, &digest, &error), NKV_EINVAL, &error,
              "hash: allowed is a digest of 32 bytes in chains of SHA256");
    t_refused(nkv_lmcache_chain_restart(b, &number, &error), NKV_EINVAL, &error,
              "hash: allowed is a digest of 32 bytes in chains of SHA256");
    t_refused(nkv_lmcache_chain_next(a, NULL, 0, &hash, &error), NKV_EINVAL, &error,
              "tokens: allowed is 1 or more");
    cr_assert(hash.kind == NKV_LMCACHE_HASH_INT && hash.number == 0);
    assert_next(a, builtin, 1, &hash);
    assert_next(b, sha, 1, &hash);
    nkv_lmcache_chain_destroy(a);
    nkv_lmcache_chain_destroy(b);
}
