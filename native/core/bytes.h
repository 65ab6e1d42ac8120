// Views of memory that they do not own, and big-endian integers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace mg {

using Bytes = std::vector<uint8_t>;

struct View {
  const uint8_t* data = nullptr;
  size_t size = 0;
  View() = default;
  View(const uint8_t* d, size_t n) : data(d), size(n) {}
  View(const Bytes& b) : data(b.data()), size(b.size()) {}
  View(std::string_view s) : data(reinterpret_cast<const uint8_t*>(s.data())), size(s.size()) {}
  View(const char* s) : View(std::string_view(s)) {}
  View(const std::string& s) : View(std::string_view(s)) {}
  template <size_t N>
  View(const uint8_t (&a)[N]) : data(a), size(N) {}
  template <size_t N>
  View(const std::array<uint8_t, N>& a) : data(a.data()), size(N) {}
  View sub(size_t offset, size_t n) const { return View(data + offset, n); }
  View from(size_t offset) const { return View(data + offset, size - offset); }
  const uint8_t* begin() const { return data; }
  const uint8_t* end() const { return data + size; }
  uint8_t operator[](size_t i) const { return data[i]; }
  Bytes copy() const { return Bytes(begin(), end()); }
  std::string_view text() const { return {reinterpret_cast<const char*>(data), size}; }
};

struct Span {  // a View one may write to
  uint8_t* data = nullptr;
  size_t size = 0;
  Span() = default;
  Span(uint8_t* d, size_t n) : data(d), size(n) {}
  Span(Bytes& b) : data(b.data()), size(b.size()) {}
  template <size_t N>
  Span(uint8_t (&a)[N]) : data(a), size(N) {}
  Span sub(size_t offset, size_t n) const { return Span(data + offset, n); }
  operator View() const { return View(data, size); }
};

inline bool equal(View a, View b) {  // for public data only; secrets use crypto::equal
  return a.size == b.size && (a.size == 0 || std::memcmp(a.data, b.data, a.size) == 0);
}
inline void append(Bytes& out, View v) {
  const size_t at = out.size();
  out.resize(at + v.size);
  if (v.size) std::memcpy(out.data() + at, v.data, v.size);
}

template <class T>
void append_be(Bytes& out, T value) {
  for (int shift = (int(sizeof(T)) - 1) * 8; shift >= 0; shift -= 8) out.push_back(uint8_t(value >> shift));
}
template <class T>
T read_be(const uint8_t* p) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); i++) value = T(value << 8) | p[i];
  return value;
}
template <class T>
void write_be(uint8_t* p, T value) {
  for (size_t i = 0; i < sizeof(T); i++) p[i] = uint8_t(value >> ((sizeof(T) - 1 - i) * 8));
}

}  // namespace mg
