-- SPDX-License-Identifier: MIT
--
-- Wireshark dissector for the outer protocol of ethercord, version 1 (docs/protocol.md): what can be seen of a cord from outside.
--
-- Nothing is decrypted. Messages are told by type and length; initiation, response, cookie reply and data messages that belong to one
-- keypair are brought together by the indices that the two ends chose. How to install it is in docs/dissector.md.
--
-- A conversation is recognised on port 36160 (a preference), or on any port by its handshake; data messages alone look like those of
-- WireGuard, so they are taken on other ports only where a handshake was seen before.

local ethercord = Proto("ethercord", "ethercord encrypted Ethernet cord")

local HEADER_LEN = 4 -- type and reserved bytes
local DATA_HEADER_LEN = 16
local DATA_LEN_MIN = 32
local messages = {
    [1] = { name = "initiation", len = 156 },
    [2] = { name = "response", len = 100 },
    [3] = { name = "cookie reply", len = 64 },
    [4] = { name = "data" }, -- DATA_LEN_MIN or more
}
local type_names = {}
for value, message in pairs(messages) do type_names[value] = message.name end

-- ---- fields ---------------------------------------------------------------------------------------------------------------------------

local fields = {
    type = ProtoField.uint8("ethercord.type", "Type", base.DEC, type_names),
    reserved = ProtoField.bytes("ethercord.reserved", "Reserved"),
    sender = ProtoField.uint32("ethercord.sender_index", "Sender index", base.HEX),
    receiver = ProtoField.uint32("ethercord.receiver_index", "Receiver index", base.HEX),
    counter = ProtoField.uint64("ethercord.counter", "Counter", base.DEC),
    ephemeral = ProtoField.bytes("ethercord.ephemeral", "Ephemeral key"),
    static = ProtoField.bytes("ethercord.static", "Static key (sealed)"),
    hello = ProtoField.bytes("ethercord.hello", "Hello (sealed): timestamp, ciphers, TAP MTU, features"),
    choice = ProtoField.bytes("ethercord.choice", "Choice (sealed): cipher, TAP MTU, features"),
    mac1 = ProtoField.bytes("ethercord.mac1", "mac1"),
    mac2 = ProtoField.bytes("ethercord.mac2", "mac2"),
    has_cookie = ProtoField.bool("ethercord.has_cookie", "Made with a cookie"),
    nonce = ProtoField.bytes("ethercord.cookie.nonce", "Nonce"),
    cookie = ProtoField.bytes("ethercord.cookie.sealed", "Cookie (sealed)"),
    payload = ProtoField.bytes("ethercord.payload", "Payload (encrypted)"),
    payload_len = ProtoField.uint32("ethercord.payload.len", "Payload length", base.DEC),
    tag = ProtoField.bytes("ethercord.tag", "Tag"),
    keepalive = ProtoField.bool("ethercord.keepalive", "Keepalive"),
    -- What was brought together.
    keypair = ProtoField.uint32("ethercord.keypair", "Keypair in this capture", base.DEC),
    initiation_in = ProtoField.framenum("ethercord.initiation_in", "Initiation in", base.NONE, frametype.REQUEST),
    response_in = ProtoField.framenum("ethercord.response_in", "Response in", base.NONE, frametype.RESPONSE),
    cookie_reply_in = ProtoField.framenum("ethercord.cookie_reply_in", "Cookie reply in", base.NONE, frametype.RESPONSE),
    response_time = ProtoField.relative_time("ethercord.response_time", "Time since the initiation"),
    direction = ProtoField.string("ethercord.direction", "Direction"),
}
ethercord.fields = fields

local experts = {
    length = ProtoExpert.new("ethercord.expert.length", "Wrong length", expert.group.MALFORMED, expert.severity.ERROR),
    type = ProtoExpert.new("ethercord.expert.type", "Unknown type", expert.group.MALFORMED, expert.severity.ERROR),
    reserved = ProtoExpert.new("ethercord.expert.reserved", "Reserved bytes are not zero: every node drops this",
        expert.group.PROTOCOL, expert.severity.WARN),
    index = ProtoExpert.new("ethercord.expert.index", "An index is never zero", expert.group.PROTOCOL, expert.severity.WARN),
    order = ProtoExpert.new("ethercord.expert.order", "Counter is not above an earlier one: overtaken, repeated or replayed",
        expert.group.SEQUENCE, expert.severity.NOTE),
    unmatched = ProtoExpert.new("ethercord.expert.unmatched", "The initiation that this belongs to is not in the capture",
        expert.group.SEQUENCE, expert.severity.NOTE),
    cookie = ProtoExpert.new("ethercord.expert.cookie", "The responder is under load, and asks for a cookie",
        expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
ethercord.experts = experts

-- ---- what belongs together ------------------------------------------------------------------------------------------------------------

local by_index    -- index on the wire: the keypair (a table) and which end chose the index
local by_frame    -- frame and receiver index: what was found there when it was first looked at; a later pass must find the same
local n_keypairs

function ethercord.init()
    by_index, by_frame, n_keypairs = {}, {}, 0
end

local function new_keypair()
    n_keypairs = n_keypairs + 1
    return { number = n_keypairs }
end

-- Each is called once per message, in the order of the capture, and returns what there is to show.
local learn = {}

learn[1] = function(tvb, pinfo)
    local index = tvb(4, 4):le_uint()
    local ephemeral = tvb(8, 32):bytes():tohex()
    local known = by_index[index]
    if known and known.keypair.ephemeral == ephemeral then return { keypair = known.keypair } end -- seen twice
    local keypair = new_keypair()
    keypair.ephemeral, keypair.initiation, keypair.initiation_time = ephemeral, pinfo.number, pinfo.rel_ts
    by_index[index] = { keypair = keypair, chosen_by = "initiator" }
    return { keypair = keypair }
end

learn[2] = function(tvb, pinfo)
    local known = by_index[tvb(8, 4):le_uint()]
    local keypair = known and known.chosen_by == "initiator" and known.keypair or new_keypair()
    if not keypair.response then
        keypair.response, keypair.response_time = pinfo.number, pinfo.rel_ts
        by_index[tvb(8, 4):le_uint()] = { keypair = keypair, chosen_by = "initiator" }
        by_index[tvb(4, 4):le_uint()] = { keypair = keypair, chosen_by = "responder" }
    end
    return { keypair = keypair, seconds = keypair.initiation_time and pinfo.rel_ts - keypair.initiation_time }
end

learn[3] = function(tvb, pinfo)
    local known = by_index[tvb(4, 4):le_uint()]
    if not known then return {} end
    known.keypair.cookie_reply = known.keypair.cookie_reply or pinfo.number
    return { keypair = known.keypair }
end

learn[4] = function(tvb)
    local known = by_index[tvb(4, 4):le_uint()]
    if not known then return {} end
    local counter = tvb(8, 8):le_uint64()
    local is_late = known.newest and counter <= known.newest
    if not is_late then known.newest = counter end
    return { keypair = known.keypair, is_late = is_late,
             direction = known.chosen_by == "responder" and "initiator to responder" or "responder to initiator" }
end

-- A frame may hold several messages (a message quoted by ICMP), hence the index.
local function found_of(kind, tvb, pinfo)
    local key = pinfo.number .. "/" .. tvb(0, 8):bytes():tohex()
    if not by_frame[key] then by_frame[key] = learn[kind](tvb, pinfo) end
    return by_frame[key]
end

local function add_generated(tree, field, value)
    if value ~= nil then tree:add(field, value):set_generated() end
end

local function show_found(kind, found, tree)
    local keypair = found.keypair
    if not keypair then
        tree:add_proto_expert_info(experts.unmatched)
        return
    end
    add_generated(tree, fields.keypair, keypair.number)
    add_generated(tree, fields.direction, found.direction)
    if kind ~= 1 then
        if keypair.initiation then
            add_generated(tree, fields.initiation_in, keypair.initiation)
        else
            tree:add_proto_expert_info(experts.unmatched)
        end
    end
    if kind ~= 2 then add_generated(tree, fields.response_in, keypair.response) end
    if kind == 1 then add_generated(tree, fields.cookie_reply_in, keypair.cookie_reply) end
    if found.seconds then
        local whole = found.seconds - found.seconds % 1
        add_generated(tree, fields.response_time, NSTime.new(whole, (found.seconds - whole) * 1e9))
    end
    if found.is_late then tree:add_proto_expert_info(experts.order) end
end

-- ---- the messages ---------------------------------------------------------------------------------------------------------------------

local function add_index(tree, field, range)
    local item = tree:add_le(field, range)
    if range:le_uint() == 0 then item:add_proto_expert_info(experts.index) end
end

local function is_zero(range)
    return range:bytes():tohex():match("^0*$") ~= nil
end

local function add_macs(tree, tvb, at)
    local has_cookie = not is_zero(tvb(at + 16, 16))
    tree:add(fields.mac1, tvb(at, 16))
    tree:add(fields.mac2, tvb(at + 16, 16)):append_text(has_cookie and "" or " (zero: without a cookie)")
    tree:add(fields.has_cookie, tvb(at + 16, 16), has_cookie):set_generated()
end

local function hex(range) return string.format("0x%08x", range:le_uint()) end

local show = {}

show[1] = function(tvb, tree)
    add_index(tree, fields.sender, tvb(4, 4))
    tree:add(fields.ephemeral, tvb(8, 32))
    tree:add(fields.static, tvb(40, 48))
    tree:add(fields.hello, tvb(88, 36))
    add_macs(tree, tvb, 124)
    return "Initiation, sender " .. hex(tvb(4, 4))
end

show[2] = function(tvb, tree)
    add_index(tree, fields.sender, tvb(4, 4))
    add_index(tree, fields.receiver, tvb(8, 4))
    tree:add(fields.ephemeral, tvb(12, 32))
    tree:add(fields.choice, tvb(44, 24))
    add_macs(tree, tvb, 68)
    return "Response, sender " .. hex(tvb(4, 4)) .. ", receiver " .. hex(tvb(8, 4))
end

show[3] = function(tvb, tree)
    add_index(tree, fields.receiver, tvb(4, 4))
    tree:add(fields.nonce, tvb(8, 24))
    tree:add(fields.cookie, tvb(32, 32))
    tree:add_proto_expert_info(experts.cookie)
    return "Cookie reply, receiver " .. hex(tvb(4, 4))
end

-- Its header alone is of use where the capture has cut off the rest.
show[4] = function(tvb, tree)
    local payload_len = tvb:reported_len() - DATA_LEN_MIN
    local captured_len = math.min(payload_len, tvb:len() - DATA_HEADER_LEN)
    add_index(tree, fields.receiver, tvb(4, 4))
    tree:add_le(fields.counter, tvb(8, 8))
    if captured_len > 0 then tree:add(fields.payload, tvb(DATA_HEADER_LEN, captured_len)) end
    add_generated(tree, fields.payload_len, payload_len)
    add_generated(tree, fields.keepalive, payload_len == 0)
    if tvb:len() == tvb:reported_len() then tree:add(fields.tag, tvb(DATA_HEADER_LEN + payload_len, 16)) end
    return "Data, receiver " .. hex(tvb(4, 4)) .. ", counter " .. tostring(tvb(8, 8):le_uint64()) ..
        (payload_len == 0 and ", keepalive" or ", payload " .. payload_len)
end

-- The exact length, of data the least; what the capture cut off does not make a length wrong.
local function length_is_right(kind, len)
    local message = messages[kind]
    return len == message.len or (not message.len and len >= DATA_LEN_MIN)
end

local function dissect(tvb, pinfo, root)
    local len = tvb:reported_len()
    local tree = root:add(ethercord, tvb())
    pinfo.cols.protocol = "ethercord"
    if tvb:len() < HEADER_LEN then
        tree:add_proto_expert_info(experts.length, "Wrong length: " .. len .. " bytes are no message")
        pinfo.cols.info = "Too short: " .. len .. " bytes"
        return
    end
    local kind = tvb(0, 1):uint()
    local type_item = tree:add(fields.type, tvb(0, 1))
    local reserved = tree:add(fields.reserved, tvb(1, 3))
    local has_zeros = is_zero(tvb(1, 3))
    if not has_zeros then reserved:add_proto_expert_info(experts.reserved) end
    if not messages[kind] then
        type_item:add_proto_expert_info(experts.type, "Unknown type " .. kind)
        pinfo.cols.info = "Unknown type " .. kind
    elseif not length_is_right(kind, len) then
        local wanted = messages[kind].len or DATA_LEN_MIN .. " or more"
        tree:add_proto_expert_info(experts.length, "Wrong length: " .. len .. " bytes; " .. messages[kind].name .. " has " .. wanted)
        pinfo.cols.info = "Wrong length: " .. messages[kind].name .. " of " .. len .. " bytes"
    elseif tvb:len() < (messages[kind].len or DATA_HEADER_LEN) then
        pinfo.cols.info = messages[kind].name .. ", cut off by the capture at " .. tvb:len() .. " of " .. len .. " bytes"
    else
        pinfo.cols.info = show[kind](tvb, tree)
        tree:append_text(", " .. messages[kind].name)
        if has_zeros then show_found(kind, found_of(kind, tvb, pinfo), tree) end
    end
end

function ethercord.dissector(tvb, pinfo, root)
    dissect(tvb, pinfo, root)
    return tvb:len()
end

-- ---- where it is found ----------------------------------------------------------------------------------------------------------------

-- A handshake is told by its lengths, which WireGuard's messages don't have; a cookie reply has the same one, so it has to answer.
local function is_ours(tvb)
    if tvb:len() < DATA_HEADER_LEN or not is_zero(tvb(1, 3)) then return false end
    local kind = tvb(0, 1):uint()
    if not messages[kind] or not length_is_right(kind, tvb:reported_len()) then return false end
    return kind == 1 or kind == 2 or by_index[tvb(4, 4):le_uint()] ~= nil
end

ethercord:register_heuristic("udp", function(tvb, pinfo, root)
    if not is_ours(tvb) then return false end
    pinfo.conversation = ethercord
    dissect(tvb, pinfo, root)
    return true
end)

local udp_ports = DissectorTable.get("udp.port")
local port = 36160
ethercord.prefs.port = Pref.uint("UDP port", port, "Datagrams from and to this port are ethercord's; 0 = none, only what a handshake shows")

function ethercord.prefs_changed()
    if port ~= 0 then udp_ports:remove(port, ethercord) end
    port = ethercord.prefs.port
    if port ~= 0 then udp_ports:add(port, ethercord) end
end

udp_ports:add(port, ethercord)
