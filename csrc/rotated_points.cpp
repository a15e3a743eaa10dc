// The points of `rotated_points`, but that those of a bin that read the same pixel are one, so that
// their weights are summed in another order, and that sines and cosines are C's. In a huge box only
// samples that can lie on the map are looked at, and what lies in one place is looked at once.
#include "merged_points.h"
#include "task_lists.h"
#include "turned_samples.h"

namespace roipool {
namespace {

struct Rotated : AlignOptions {
  bool clockwise;
  explicit Rotated(const Listing& call) : AlignOptions(call), clockwise(call.options[2] != 0) {}
};

// Two pixels along an axis that a sample lies between, what they weigh, and whether that moves.
template <class F>
struct Pair {
  int64_t pixels[2];
  F weights[2];
  bool moves;

  Pair(const TurnedSide<F>& side, F position) {
    const F inside = std::min(std::max(position, F(0)), side.last);
    pixels[0] = int64_t(inside);
    pixels[1] = std::min(pixels[0] + 1, side.last_pixel);
    weights[1] = inside - F(pixels[0]);
    weights[0] = 1 - weights[1];
    moves = position >= 0 && position < side.last;
  }
};

// A sample, or several in one place: which of either side, and how many.
struct Sample {
  double y, x, y_count, x_count;
};

// The points of one region's bins.
template <class F, int kTerms>
class BoxPoints {
 public:
  BoxPoints(const TurnedBox<F>& box, int turn, MergedPoints<kTerms>& points)
      : box_(box), turn_(F(turn)), reach_(box.reach_of_map()), points_(points) {}

  void add_bin(int64_t i, int64_t j) {
    points_.begin_bin();
    const TurnedSide<F>&y = box_.y, &x = box_.x;
    if (y.last_pixel < 0 || x.last_pixel < 0) return;
    const Numbers rows = y.between(i, reach_[0][0], reach_[0][1]);
    const Numbers columns = x.between(j, reach_[1][0], reach_[1][1]);
    const double down = y.different(i, rows), across = x.different(j, columns);
    refuse_many(down * across);
    // Where places are rounded to pixels and more, it is along one side only that many differ.
    const bool by_rows = down <= std::max(across, kFew);
    const auto of_y = [&](double n) { return y.offset(i, n); };
    const auto of_x = [&](double n) { return x.offset(j, n); };
    if (by_rows)
      by_value(rows, of_y, [&](F offset, double n, double count) {
        add_line(
            columns, [&](double m) { return box_.place(offset, of_x(m)); },
            [&](const Place<F>& place, double m, double times) {
              add(i, j, place, {n, m, count, times});
            });
      });
    else
      by_value(columns, of_x, [&](F offset, double n, double count) {
        add_line(
            rows, [&](double m) { return box_.place(of_y(m), offset); },
            [&](const Place<F>& place, double m, double times) {
              add(i, j, place, {m, n, times, count});
            });
      });
    const double samples = double(y.samples) * double(x.samples);
    for (Point<kTerms>* point = points_.bin(); point != points_.end(); ++point)
      for (double& term : point->terms) term /= samples;
  }

 private:
  // So many samples of a bin, or as many as the map has room for.
  void refuse_many(double count) const {
    const double apart = double(box_.y.step) / box_.y.divisor * box_.x.step / box_.x.divisor;
    const double room = (box_.y.border + 2.0) * (box_.x.border + 2.0) / apart;
    if (std::min(count, room) > INT32_MAX)
      throw OutOfMemory("2^31 samples or more of a bin", room * sizeof(Point<kTerms>));
  }

  // Along a line, places move in one direction.
  template <class At, class Body>
  void add_line(Numbers numbers, const At& at, const Body& body) const {
    if (numbers.count() > kFew) {
      numbers = within(numbers, [&](double n) { return at(n).y; }, -1, box_.y.border);
      numbers = within(numbers, [&](double n) { return at(n).x; }, -1, box_.x.border);
    }
    by_value(numbers, at, [&](const Place<F>& place, double n, double count) {
      if (box_.on_map(place)) body(place, n, count);
    });
  }

  void add(int64_t i, int64_t j, const Place<F>& place, const Sample& sample) {
    const Pair<F> y(box_.y, place.y), x(box_.x, place.x);
    F moves[2][5];  // of the sample's y and x, by the columns of the row
    if constexpr (kTerms > 1) {
      const F along_y = box_.y.share(i, sample.y, sample.y_count),
              along_x = box_.x.share(j, sample.x, sample.x_count);
      const F of_y[] = {0, box_.y.scale, -box_.sin * along_x * box_.x.reach,
                        box_.cos * along_y * box_.y.reach, -turn_ * place.across};
      const F of_x[] = {box_.x.scale, 0, box_.cos * along_x * box_.x.reach,
                        box_.sin * along_y * box_.y.reach, turn_ * place.down};
      std::copy_n(of_y, 5, moves[0]), std::copy_n(of_x, 5, moves[1]);
    }
    for (const int row : {0, 1})
      for (const int column : {0, 1}) {
        F terms[kTerms] = {y.weights[row] * x.weights[column]};
        if constexpr (kTerms > 1) {
          const F by_y = F(y.moves ? 2 * row - 1 : 0) * x.weights[column];
          const F by_x = F(x.moves ? 2 * column - 1 : 0) * y.weights[row];
          for (int c = 0; c < 5; ++c) terms[1 + c] = by_y * moves[0][c] + by_x * moves[1][c];
        }
        if (std::all_of(terms, terms + kTerms, [](F term) { return term == 0; })) continue;
        Point<kTerms>& point = points_(y.pixels[row], x.pixels[column]);
        for (int t = 0; t < kTerms; ++t)
          point.terms[t] += double(terms[t]) * (sample.y_count * sample.x_count);
      }
  }

  const TurnedBox<F>& box_;
  const F turn_;
  const std::array<std::array<double, 2>, 2> reach_;
  MergedPoints<kTerms>& points_;
};

template <class F, class In, int kTerms>
class PointFinder {
 public:
  explicit PointFinder(const Listing& call)
      : call_(call),
        options_(call),
        rows_(call.rois, call.maps),
        tasks_((call.rois.count + kRegionsPerTask - 1) / kRegionsPerTask),
        found_(tasks_) {}

  bool run() {
    parallel_for(call_.threads, tasks_, [&](int64_t task, int) { find(task); });
    if (call_.sums_in_double)
      put<double>();
    else
      put<float>();
    return std::all_of(call_.image, call_.image + call_.rois.count, [](int i) { return i >= 0; });
  }

 private:
  static constexpr int64_t kRegionsPerTask = 32;

  int64_t end_of(int64_t task) const {
    return std::min(call_.rois.count, (task + 1) * kRegionsPerTask);
  }

  void find(int64_t task) {
    MergedPoints<kTerms> points(found_[task].entries);
    for (int64_t k = task * kRegionsPerTask; k < end_of(task); ++k) {
      const Scaled<F> region = rows_[k];
      const F angle = F(rows_.at(k, 5));
      const bool known =
          region.image >= 0 && region.y2 >= 0 && region.x2 >= 0 && std::isfinite(angle);
      call_.image[k] = known ? region.image : -1;
      if (known)
        find(region, options_.clockwise ? -angle : angle, points, found_[task]);
      else
        for (int64_t bin = 0; bin < bins(); ++bin) found_[task].end_bin();
    }
  }

  // Of a row [image, centre x, centre y, width, height, angle].
  void find(const Scaled<F>& region, F angle, MergedPoints<kTerms>& points,
            typename TaskLists<Point<kTerms>>::Found& found) const {
    const MapSizes& map = *region.map;
    const Side<F> y{0, 0, map.height, F(map.scale_y), call_.pooled_h};
    const Side<F> x{0, 0, map.width, F(map.scale_x), call_.pooled_w};
    const TurnedBox<F> box{TurnedSide<F>(options_, region.y1, region.y2, y),
                           TurnedSide<F>(options_, region.x1, region.x2, x), std::cos(angle),
                           std::sin(angle)};
    BoxPoints<F, kTerms> of_box(box, options_.clockwise ? -1 : 1, points);
    for (int64_t bin = 0; bin < bins(); ++bin) {
      of_box.add_bin(bin / call_.pooled_w, bin % call_.pooled_w);
      found.end_bin();
    }
  }

  int64_t bins() const { return call_.pooled_h * call_.pooled_w; }

  template <class Sum>
  void put() {
    const int64_t count = found_.join(1);
    const auto memory = [&]<class T>(T*& list, int64_t of_each) {
      list = static_cast<T*>(call_.memory(count * of_each * int64_t(sizeof(T))));
    };
    int32_t *y, *x;
    Sum *weight, *slopes = nullptr;
    memory(y, 1), memory(x, 1), memory(weight, 1);
    if (kTerms > 1) memory(slopes, kTerms - 1);
    parallel_for(call_.threads, tasks_, [&](int64_t task, int) {
      int64_t at = found_[task].place;
      found_[task].put_ranges(call_.ranges[0] + task * kRegionsPerTask * bins() * 2);
      for (const Point<kTerms>& point : found_[task].entries) {
        y[at] = point.y, x[at] = point.x, weight[at] = Sum(point.terms[0]);
        for (int i = 1; i < kTerms; ++i) slopes[at * (kTerms - 1) + i - 1] = Sum(point.terms[i]);
        ++at;
      }
    });
  }

  const Listing& call_;
  const Rotated options_;
  const ScaledRows<F, F, In> rows_;
  const int64_t tasks_;
  TaskLists<Point<kTerms>> found_;
};

template <class F, class In>
bool points_in(const Listing& call) {
  return call.slopes ? PointFinder<F, In, 6>(call).run() : PointFinder<F, In, 1>(call).run();
}

}  // namespace

bool rotated_points(const Listing& call) {
  if (call.in_double) return points_in<double, double>(call);
  return call.rois.is_double ? points_in<float, double>(call) : points_in<float, float>(call);
}

}  // namespace roipool
