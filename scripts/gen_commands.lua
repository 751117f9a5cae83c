-- gen_commands.lua - runs inside a server, for scripts/gen_commands: COMMAND as lines of text.
--
-- A line for each command and subcommand, its fields parted by tabs:
--
--   name · arity · flags · first, last and step of the keys · "container" or "-" · tips · keys
--
-- The last is the list of key specifications, begin:find each, as in "index/1:range/-1/1/0;".
-- Those that name no key (a channel, say) are left out.

local lines = {}

local function text(x)
    return type(x) == "table" and x.ok or tostring(x)
end

local function words(list)
    local out = {}
    for i, x in ipairs(list) do
        out[i] = text(x)
    end
    return table.concat(out, ",") .. ","
end

local function map(list)
    local out = {}
    for i = 1, #list, 2 do
        out[text(list[i])] = list[i + 1]
    end
    return out
end

-- The fields of a specification, or of none of it if its kind is "unknown".
local fields = {
    index = {"index"},
    keyword = {"keyword", "startfrom"},
    range = {"lastkey", "keystep", "limit"},
    keynum = {"keynumidx", "firstkey", "keystep"},
}

local function describe(part)
    local m = map(part)
    local kind = text(m.type)
    local out = {kind}
    for _, name in ipairs(fields[kind] or {}) do
        out[#out + 1] = text(map(m.spec)[name])
    end
    return table.concat(out, "/")
end

local function keys(list)
    local out = {}
    for _, spec in ipairs(list) do
        local m = map(spec)
        if not ("," .. words(m.flags)):find(",not_key,", 1, true) then
            out[#out + 1] = describe(m.begin_search) .. ":" .. describe(m.find_keys) .. ";"
        end
    end
    return table.concat(out)
end

local function add(c)
    local kind = #c[10] > 0 and "container" or "-"
    lines[#lines + 1] = table.concat({
        string.upper(text(c[1])), c[2], words(c[3]), c[4], c[5], c[6], kind, words(c[8]), keys(c[9])
    }, "\t")
    for _, subcommand in ipairs(c[10]) do
        add(subcommand)
    end
end

for _, command in ipairs(redis.call("COMMAND")) do
    add(command)
end
return lines
