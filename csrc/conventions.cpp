#include "conventions.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace roipool {
namespace {

constexpr std::pair<std::string_view, Convention> kConventions[] = {
    {"align_taps", align_taps},         {"align_samples", align_samples},
    {"average_taps", average_taps},     {"position_sensitive_taps", position_sensitive_taps},
    {"integral_taps", integral_taps},   {"crop_taps", crop_taps},
    {"rotated_points", rotated_points},
};

}  // namespace

Convention convention_named(std::string_view name) {
  for (const auto& [known, convention] : kConventions)
    if (known == name) return convention;
  throw std::invalid_argument("no convention is named " + std::string(name));
}

}  // namespace roipool
