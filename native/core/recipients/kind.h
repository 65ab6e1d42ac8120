// The contract of a kind of recipient: how the data key is wrapped for one, the rule for the body of its slots, and how such a slot is
// unwrapped. Each kind is a file of kinds/; table.h lists them.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "crypto/crypto.h"
#include "crypto/derivations.h"
#include "hardware/helper.h"
#include "recipients/slot.h"

namespace mg::recipients {

class Kind;
using Cancelled = std::atomic<bool>;

// A recipient of one kind. public_recipient() and shared_recipient() make it.
struct Recipient {
  const Kind* kind;                      // never null
  Bytes public_part;                     // what the kind needs for wrapping; empty where both sides hold `key`
  std::shared_ptr<const keys::Key> key;  // the same key that opens, or null
};

// Opens slots: a key, or this machine by its factors.
struct Identity {
  std::shared_ptr<const keys::Key> key;  // null: this machine
  std::optional<keys::KeyId> machine;    // tries only slots with this key id, because each trial takes time
  Identity() = default;
  Identity(std::shared_ptr<const keys::Key> k) : key(std::move(k)) {}
};
using Identities = std::vector<Identity>;

// The facts of one search for a slot that opens. They outlive it.
struct Search {
  const std::vector<Slot>& slots;  // all slots of the container
  const crypto::Sha384& core_hash;
  crypto::Derivations& derivations;  // the budget of runs of scrypt
  const Cancelled* cancelled;        // may be null
};

// Gets the data key out of a slot of the kind with an identity that matches it. NO_MATCHING_IDENTITY where the slot does not open.
using Unwrap = std::function<Result<Secret>(const Slot& slot, const Identity& identity)>;

class Kind {
 public:
  // `number` is the slot's type; `name` stands in info() and in messages.
  constexpr Kind(uint16_t number, const char* name) : number(number), name(name) {}
  const uint16_t number;
  const char* const name;

  virtual size_t max_slots() const { return kMaxSlots; }  // of one container
  virtual bool has_key_id() const { return false; }       // otherwise the key id of a slot is zeros
  // The type of the key that recipient and identity both hold. Without one, the recipient has a public part.
  virtual std::optional<keys::Type> shared_key() const { return std::nullopt; }
  virtual Status check_public_part(View public_part) const;  // INVALID_ARGUMENT, KEY_INVALID, MACHINE_FILE_INVALID

  // Sets the body, and the key id where the kind has one. Type, flags and policy of the slot are set already.
  virtual Status wrap(Slot& slot, const Recipient& recipient, View data_key, View info) const = 0;
  // The rule of a body. `what` of the Status is a clause that follows the slot's name: "has a body of …".
  virtual Status check_body(View body) const = 0;

  // The next functions take a slot of this kind whose body keeps the rule.
  virtual bool matches(const Slot& slot, const Identity& identity) const = 0;  // a hint from the key id; unwrapping decides
  // The most that unwrapping takes, in units of crypto/derivations.h. The search tries cheap slots first.
  virtual uint32_t cost(const Slot&) const { return 0; }
  // The most that these identities need of the slots of this kind in a container that this release made.
  virtual uint32_t max_cost(const Identities&) const { return 0; }
  // For one search. May keep between slots what takes long to get.
  virtual Unwrap unwrapper(const Search& search) const = 0;
  // The terms of the machine that the slot is bound to, for kinds that bind to one.
  virtual std::optional<hardware::Helper> machine(const Slot&) const { return std::nullopt; }

  Bytes info(const crypto::Sha384& core_hash) const;  // "model-guard/v1/slot/<name>" || 0x00 || core_hash

 protected:
  ~Kind() = default;
  static Status check_size(View body, size_t size);  // for check_body()
};

}  // namespace mg::recipients
