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

class Builder {
 public:
  Builder(const MaxForward& call, const MaxKernels& kernels) : call_(call), kernels_(kernels) {}

  int64_t level_bytes(const Box&, int level) const;
  int64_t bytes(const Unit&) const;  // of all levels it keeps

  // How many channels the block has that starts at `channel`.
  int channels_from(int64_t channel) const;

  // Packs a box, and returns whether a −0 was among its pixels.
  bool pack(int64_t image, int64_t channel, const Box&, void* to) const;

  // Says where its levels will be.
  void lay_out(Unit&, void* memory) const;

  // Fills what was laid out: the calling thread alone, or all of them together.
  void build(Unit&) const;
  void build(std::span<Unit>, int threads) const;

 private:
  int64_t row_bytes(const Box&, int level) const;
  char* row_of(const Unit&, int level, int64_t y) const;
  bool pack_rows(const Unit&, int64_t y0, int64_t y1, void* to) const;
  void build_rows(Unit&, int64_t y0, int64_t y1, char* saved) const;
  void build_seam(const Unit&, int64_t y1, const char* saved) const;
  int64_t saved_bytes(const Unit&) const;
  void widen_rows(const Unit&, int level, int64_t y0, int64_t y1, const void* bottom) const;
  bool take_map(Unit&) const;
  void pack_map(const Unit&, int64_t y0, int64_t y1) const;

  const MaxForward& call_;
  const MaxKernels& kernels_;
};

}  // namespace roipool
