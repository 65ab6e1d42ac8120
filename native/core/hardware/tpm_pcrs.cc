#include "hardware/tpm_pcrs.h"

#include <algorithm>
#include <iterator>

#include "crypto/crypto.h"

namespace mg::hardware::tpm {
namespace {

using namespace tss2;

constexpr size_t kValue = 32;  // a SHA-256 digest
constexpr Rc kPcrChanged = 0x128;

// The PCRs of the SHA-256 bank that a selection names.
uint32_t selected(const PcrSelections& selections) {
  uint32_t pcrs = 0;
  for (size_t i = 0; i < selections.count && i < std::size(selections.banks); i++) {
    const PcrSelection& bank = selections.banks[i];
    if (bank.hash != kSha256) continue;
    for (int byte = 0; byte < bank.size && byte < 3; byte++) pcrs |= uint32_t(bank.bits[byte]) << (8 * byte);
  }
  return pcrs;
}

// A PCR that was extended once, by a separator: the firmware measured that it had nothing to measure (TCG PC Client Platform Firmware
// Profile, 2.3.4 and 3.3.4). SHA-256(zeros || SHA-256(event)); the event is four bytes of 00, or of ff where the firmware failed.
constexpr uint8_t kSeparators[][kValue] = {
    {0x3d, 0x45, 0x8c, 0xfe, 0x55, 0xcc, 0x03, 0xea, 0x1f, 0x44, 0x3f, 0x15, 0x62, 0xbe, 0xec, 0x8d,
     0xf5, 0x1c, 0x75, 0xe1, 0x4a, 0x9f, 0xcf, 0x9a, 0x72, 0x34, 0xa1, 0x3f, 0x19, 0x8e, 0x79, 0x69},
    {0xe2, 0x1b, 0x70, 0x3e, 0xe6, 0x9c, 0x77, 0x47, 0x6b, 0xcc, 0xb4, 0x3e, 0xc0, 0x33, 0x6a, 0x9a,
     0x1b, 0x29, 0x14, 0xb3, 0x78, 0x94, 0x4f, 0x7b, 0x00, 0xa1, 0x02, 0x14, 0xca, 0x8f, 0xea, 0x93},
};

bool is_unmeasured(View value) {
  for (const auto& separator : kSeparators) {
    if (equal(value, View(separator))) return true;
  }
  const auto is_filled_with = [&](uint8_t fill) {
    return std::all_of(value.begin(), value.end(), [fill](uint8_t byte) { return byte == fill; });
  };
  return is_filled_with(0x00) || is_filled_with(0xff);
}

// PolicyPCR (TPM 2.0 Library, part 3): SHA-256(zeros || TPM_CC_PolicyPCR || the selection || SHA-256(the values)).
Status compute_policy(uint32_t pcrs, View values, crypto::Sha256* policy) {
  const uint8_t start[kValue] = {};
  const uint8_t command[] = {
      0, 0, 1, 0x7f, 0, 0, 0, 1, 0, uint8_t(kSha256), 3, uint8_t(pcrs), uint8_t(pcrs >> 8), uint8_t(pcrs >> 16)};
  crypto::Sha256 digest;
  auto s = crypto::digest(crypto::Hash::sha256, {values}, Span(digest.data(), digest.size()));
  if (!s.ok()) return s;
  return crypto::digest(crypto::Hash::sha256, {View(start), View(command), View(digest)}, Span(policy->data(), policy->size()));
}

}  // namespace

PcrSelections select_pcrs(uint32_t pcrs) {
  PcrSelections selections;
  selections.count = 1;
  selections.banks[0] = {kSha256, 3, {uint8_t(pcrs), uint8_t(pcrs >> 8), uint8_t(pcrs >> 16), 0}};
  return selections;
}

Status check_bank(Connection& tpm, uint32_t pcrs) {
  LibraryBuffer<Capability<PcrSelections>> assigned(tpm);
  if (auto s = get_capability(tpm, kCapPcrs, 0, 1, &assigned); !s.ok()) return s;
  if ((pcrs & ~selected(assigned->data)) == 0) return {};
  return Status(Code::TPM_UNAVAILABLE, "the TPM has no SHA-256 bank with all of the PCRs asked for");
}

Result<uint32_t> find_unmeasured(Connection& tpm, uint32_t pcrs, View policy) {
  uint32_t left = pcrs, unmeasured = 0;
  Bytes values;
  while (left != 0) {  // a TPM gives at most eight values at a time, of the lowest PCRs
    const PcrSelections wanted = select_pcrs(left);
    LibraryBuffer<PcrSelections> given(tpm);
    LibraryBuffer<DigestList> digests(tpm);
    const Rc rc = tpm.tss().pcr_read(tpm.esys(), kNone, kNone, kNone, &wanted, nullptr, given.out(), digests.out());
    if (auto s = tpm.check(rc, "read its PCRs"); !s.ok()) return s;
    const uint32_t read = selected(*given.get()) & left;
    size_t next = 0;
    for (uint32_t rest = read; rest != 0; rest &= rest - 1, next++) {
      if (next == digests->count || next == std::size(digests->digests) || digests->digests[next].size != kValue) break;
      const View value = view(digests->digests[next]);
      append(values, value);
      if (is_unmeasured(value)) unmeasured |= rest & (~rest + 1);  // the lowest bit
    }
    if (read == 0 || next != size_t(__builtin_popcount(read)))
      return Status(Code::TPM_UNAVAILABLE, "the TPM does not show the values of its PCRs");
    left &= ~read;
  }
  crypto::Sha256 computed;
  if (auto s = compute_policy(pcrs, values, &computed); !s.ok()) return s;
  if (!equal(View(computed), policy)) {
    auto changed = tpm.check(kPcrChanged, "read its PCRs");  // repeated by the caller
    changed.what = "a PCR of the policy keeps changing";
    return changed;
  }
  return unmeasured;
}

}  // namespace mg::hardware::tpm
