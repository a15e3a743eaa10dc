// Whole numbers in order, of which something depends that only grows or only falls; as double, for
// there may be more than 64 bits count. Beyond 2^53 they are those that double holds.
#pragma once

#include <algorithm>
#include <cmath>

namespace roipool {

// From begin on, up to the end.
struct Numbers {
  double begin, end;
  double count() const { return std::max(end - begin, 0.0); }
};

inline double next_number(double number) {
  return std::max(number + 1, std::nextafter(number, INFINITY));
}

// The first from which on `reached` holds, or the end.
template <class Reached>
double first_number(Numbers numbers, const Reached& reached) {
  auto [begin, end] = numbers;
  while (begin < end) {
    double middle = std::floor(begin + (end - begin) / 2);
    if (middle >= end) middle = begin;
    if (reached(middle))
      end = middle;
    else
      begin = next_number(middle);
  }
  return end;
}

// Those whose value lies between.
template <class Value>
Numbers within(Numbers numbers, const Value& value, double low, double high) {
  if (!(numbers.begin < numbers.end)) return numbers;
  if (value(numbers.begin) <= value(numbers.end - 1)) {
    const double begin = first_number(numbers, [&](double n) { return value(n) >= low; });
    return {begin, first_number({begin, numbers.end}, [&](double n) { return value(n) > high; })};
  }
  const double begin = first_number(numbers, [&](double n) { return value(n) <= high; });
  return {begin, first_number({begin, numbers.end}, [&](double n) { return value(n) < low; })};
}

// Calls body(value, number, count) for each, but once for all of the same value.
template <class Value, class Body>
void by_value(Numbers numbers, const Value& value, const Body& body) {
  auto [begin, end] = numbers;
  if (!(begin < end)) return;
  for (auto here = value(begin); begin < end;) {
    double next = next_number(begin);
    auto there = next < end ? value(next) : here;
    if (next < end && there == here) {
      next = first_number({next, end}, [&](double n) { return !(value(n) == here); });
      if (next < end) there = value(next);
    }
    body(here, begin, next - begin);
    begin = next, here = there;
  }
}

}  // namespace roipool
