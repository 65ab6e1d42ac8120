#include "hardware/helper.h"

#include <algorithm>

#include "hardware/tpm.h"

namespace mg::hardware {
namespace {

constexpr uint8_t kRequired = 1;

Status malformed(const std::string& what) { return Status(Code::MACHINE_FILE_INVALID, "the helper data are malformed: " + what); }

// Takes bytes from the front. `failed` stays set once there were too few.
struct Cursor {
  View rest;
  bool failed = false;
  View take(size_t n) {
    if (failed || rest.size < n) {
      failed = true;
      return View();
    }
    const View taken = rest.sub(0, n);
    rest = rest.from(n);
    return taken;
  }
  uint8_t byte() {
    const View taken = take(1);
    return failed ? 0 : taken[0];
  }
};

unsigned weight_of(const std::vector<BoundFactor>& factors, uint32_t set) {
  unsigned weight = 0;
  for (size_t i = 0; i < factors.size(); i++)
    if (set >> i & 1) weight += factors[i].weight;
  return weight;
}

}  // namespace

Bytes Helper::encode() const {
  Bytes out;
  append(out, View(salts_id));
  append(out, View(salt));
  out.push_back(threshold);
  out.push_back(uint8_t(factors.size()));
  for (const BoundFactor& factor : factors) {
    out.push_back(uint8_t(factor.kind));
    out.push_back(factor.required ? kRequired : 0);
    out.push_back(factor.weight);
    append(out, View(factor.salt));
    append(out, factor.shares);
  }
  append_be(out, uint16_t(tpm.size()));
  append(out, tpm);
  return out;
}

bool Helper::counts(Kind kind) const {
  return std::any_of(factors.begin(), factors.end(), [kind](const BoundFactor& factor) { return factor.kind == kind; });
}

std::vector<uint32_t> Helper::openings() const {
  uint32_t required = 0;
  for (size_t i = 0; i < factors.size(); i++)
    if (factors[i].required) required |= 1u << i;
  std::vector<uint32_t> sets;
  for (uint32_t set = 1; set < 1u << factors.size(); set++) {
    const unsigned weight = weight_of(factors, set);
    if ((set & required) != required || weight < threshold) continue;
    bool smallest = true;
    for (size_t i = 0; i < factors.size(); i++)
      if ((set & ~required) >> i & 1 && weight - factors[i].weight >= threshold) smallest = false;
    if (smallest) sets.push_back(set);
  }
  std::stable_sort(sets.begin(), sets.end(),
                   [](uint32_t a, uint32_t b) { return __builtin_popcount(a) < __builtin_popcount(b); });
  return sets;
}

Result<Helper> parse_helper(View bytes, size_t* used) {
  Helper helper;
  Cursor in{bytes};
  const View id = in.take(helper.salts_id.size()), salt = in.take(helper.salt.size());
  helper.threshold = in.byte();
  const size_t count = in.byte();
  if (in.failed) return malformed("they are too short");
  std::copy(id.begin(), id.end(), helper.salts_id.begin());
  std::copy(salt.begin(), salt.end(), helper.salt.begin());
  if (count < 1 || count > kMaxFactors) return malformed("they name " + std::to_string(count) + " factors, 1 to 6 are allowed");
  unsigned weight = 0;
  for (size_t i = 0; i < count; i++) {
    BoundFactor factor;
    const uint8_t kind = in.byte(), flags = in.byte();
    factor.weight = in.byte();
    const View factor_salt = in.take(kSalt), shares = in.take(factor.weight * kShare);
    if (in.failed) return malformed("a factor is cut off");
    if (kind < uint8_t(Kind::cpu) || kind > uint8_t(Kind::tpm))
      return malformed("factor kind " + std::to_string(kind) + " is unknown");
    factor.kind = Kind(kind);
    if (i > 0 && factor.kind <= helper.factors.back().kind) return malformed("the factors are out of order");
    if (flags & ~kRequired) return malformed("a factor has unknown flags");
    factor.required = flags & kRequired;
    if (factor.weight < 1 || factor.weight > kMaxWeight) return malformed("a weight is not 1 to 16");
    std::copy(factor_salt.begin(), factor_salt.end(), factor.salt.begin());
    factor.shares = shares.copy();
    weight += factor.weight;
    helper.factors.push_back(std::move(factor));
  }
  if (helper.threshold < 1 || helper.threshold > weight) return malformed("the threshold is not 1 to the sum of the weights");
  const View length = in.take(2);
  if (in.failed) return malformed("they are too short");
  const size_t tpm = read_be<uint16_t>(length.data);
  if (tpm > tpm::kMaxBlob) return malformed("the TPM blob is larger than 2,048 bytes");
  helper.tpm = in.take(tpm).copy();
  if (in.failed) return malformed("the TPM blob is cut off");
  if (tpm > 0 && !tpm::is_blob(helper.tpm)) return malformed("the TPM blob is damaged");
  *used = bytes.size - in.rest.size;
  return helper;
}

}  // namespace mg::hardware
