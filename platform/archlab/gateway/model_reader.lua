-- Reads which model a gRPC call is for, and says it in a header that routes match.
--
-- A call's path names no model; its message does, in field 1. A frame is one byte of flags (1: compressed), four bytes
-- of length, and the message; field 1 is the tag 0x0A, a length as a varint, and the text. Every serialiser writes
-- fields in the order of their numbers. A name that comes later, or twice, is noticed by the server: it refuses calls whose
-- message names another model than the header.

local FRAME = 5
local LONGEST = 127 -- so that the name's length is one byte

local function refuse(handle, status, message)
  handle:respond({ [":status"] = "200", ["grpc-status"] = status, ["grpc-accept-encoding"] = "identity" }, message)
end

function envoy_on_request(handle)
  local body = handle:body()
  local size = body and body:length() or 0
  if size < FRAME then
    return refuse(handle, "3", "the call has no message")
  end
  local head = body:getBytes(0, math.min(size, FRAME + 2 + LONGEST))
  if head:byte(1) ~= 0 then
    return refuse(handle, "12", "a compressed message can't be routed to its model; send it uncompressed")
  end
  if size == FRAME or head:byte(FRAME + 1) ~= 0x0A then
    return refuse(handle, "3", "the message doesn't begin with its model's name")
  end
  local length = head:byte(FRAME + 2) or 0
  local name = head:sub(FRAME + 3, FRAME + 2 + length)
  if length <= LONGEST and #name == length and name:match("^[%w%._%-]+$") then
    handle:headers():replace("x-archlab-model", name)
  end
end
