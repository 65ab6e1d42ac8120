// MG_SCALE: which part of an exhaustive walk is done, from 1 (all of it) down.
#pragma once
#include <cstdlib>

namespace mg::test {

inline double scale() {
  const char* given = std::getenv("MG_SCALE");
  const double value = given ? std::atof(given) : 1;
  return value > 0 && value <= 1 ? value : 1;
}

}  // namespace mg::test
