// Binds header and payload to the data key and to the publisher: keys, MAC, signatures (docs/format.md, sections 3, 7, 8).
#pragma once
#include "container/header.h"
#include "payload/payload.h"

namespace mg::container {

Result<payload::Keys> payload_keys(View data_key, View salt, const crypto::Sha384& core_hash);
Result<std::array<uint8_t, kMac>> header_mac(View data_key, const Header& header);
// Adds the signature to the header.
Status sign(Header& header, Role role, const keys::Key& signer, const crypto::Sha384& core_hash);

}  // namespace mg::container
