// Packed blocks and the levels of windows on them, in memory the caller provides.
#pragma once

#include <atomic>
#include <bit>
#include <memory>
#include <span>

#include "max_pool.h"
#include "memory.h"

namespace roipool {

// One channel block of one image, packed once for all the image's regions.
struct Unit {
  int64_t image, channel;
  Block block;
  unsigned kept;  // levels, as chosen by plan.h
  char* memory = nullptr;
  std::atomic<bool> negative_zero{false};
  std::unique_ptr<Workspace> map;  // its pixels, where they are not kept but needed all the same

  Unit(int64_t image, int64_t channel, Block block, unsigned kept)
      : image(image), channel(channel), block(block), kept(kept) {}
  Unit(Unit&& other) : Unit(other.image, other.channel, other.block, other.kept) {}

  bool keeps(int level) const { return kept >> level & 1; }
  int top() const { return int(std::bit_width(kept)) - 1; }
};

class WindowBuilder {
 public:
  WindowBuilder(const MaxForward& call, const MaxKernels& kernels)
      : call_(call), kernels_(kernels) {}

  int64_t map_bytes(const Box&) const;
  int64_t kept_bytes(const Unit&) const;  // of all levels it keeps
  int64_t ring_bytes(const Unit&) const;  // of the rows that one thread builds them from

  // How many channels the block has that starts at `channel`.
  int channels_from(int64_t channel) const;

  // Packs a box, and returns whether a −0 was among its pixels.
  bool pack(int64_t image, int64_t channel, const Box&, void* to) const;

  // Says where its levels will be.
  void lay_out(Unit&, void* memory) const;

  // Fills what was laid out: the calling thread alone, with a ring, or all of them together.
  void build(Unit&, void* ring) const;
  void build(std::span<Unit>, int threads) const;

 private:
  struct Run;
  int64_t row_bytes(const Box&, int level) const;
  char* kept_level(const Unit&, int level) const;
  bool pack_rows(const Unit&, int64_t y0, int64_t y1, void* to) const;
  void build(const Run&) const;
  void widen_row(const Run&, int level, int64_t y) const;
  bool take_map(Unit&) const;
  void pack_map(const Unit&, int64_t y0, int64_t y1) const;

  const MaxForward& call_;
  const MaxKernels& kernels_;
};

}  // namespace roipool
