#include "conventions.h"

#include <stdexcept>
#include <string>

namespace roipool {
namespace {

constexpr ConventionEntry kConventions[] = {
    {"align_taps", align_taps, 2, 5},
    {"align_samples", align_samples, 3, 5},
    {"average_taps", average_taps, 0, 5},
    {"position_sensitive_taps", position_sensitive_taps, 1, 5},
    {"integral_taps", integral_taps, 0, 5},
    {"crop_taps", crop_taps, 2, 5},
    {"rotated_points", rotated_points, 3, 6, true},
};

}  // namespace

const ConventionEntry& convention_named(std::string_view name) {
  for (const ConventionEntry& convention : kConventions)
    if (convention.name == name) return convention;
  throw std::invalid_argument("no convention is named " + std::string(name));
}

}  // namespace roipool
