// The slots of a container and the recipients that they are made for, over the table of kinds (docs/format.md, section 6).
#pragma once
#include "recipients/table.h"

namespace mg::recipients {

// INVALID_ARGUMENT, KEY_INVALID, MACHINE_FILE_INVALID.
Result<Recipient> public_recipient(const Kind& kind, View public_part);
// The kind follows from the key's type. KEY_TYPE_WRONG.
Result<Recipient> shared_recipient(std::shared_ptr<const keys::Key> key);

// A slot for each of 1 to 32 recipients. INVALID_ARGUMENT, LIMIT_EXCEEDED, KEY_INVALID.
Result<std::vector<Slot>> wrap_all(const std::vector<Recipient>& recipients, View data_key, const crypto::Sha384& core_hash,
                                   const std::optional<Policy>& policy = std::nullopt);

// The slots field of a header, whole. LIMIT_EXCEEDED, CRITICAL_UNSUPPORTED, CONTAINER_MALFORMED.
Result<std::vector<Slot>> parse_slots(View bytes);

}  // namespace mg::recipients
