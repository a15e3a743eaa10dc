// Reads weighted sums from feature maps: each thread packs blocks of channels of its own and
// reduces regions from them; where there is no room for that, it reads the caller's map.
#include <algorithm>

#include "sum_plan.h"
#include "threads.h"

namespace roipool {

bool read_sums(const SumCall& call) {
  if (call.regions * call.channels * call.bins() == 0) return true;
  const SumKernels kernels = kernels_for(call);
  const int64_t blocks = ceil_div(call.channels, kernels.lanes);
  SumPlan plan = plan_sums(call);
  int threads = threads_for(call, kernels, plan.work);
  const int64_t room = call.room();
  const auto bytes = [&](const Box& box) {
    return bytes_of(packed_pixels(box), kernels.pixel_bytes);
  };
  const auto is_packed = [&](const SumPiece& piece) {
    return !piece.sparse && bytes(piece.box) <= room;
  };
  int64_t most = 0;
  for (const SumPiece& piece : plan.pieces)
    if (is_packed(piece)) most = std::max(most, bytes(piece.box));
  const int64_t together =
      blocks_together(blocks, int64_t(plan.pieces.size()), most, room, threads);
  const int64_t groups = ceil_div(blocks, together);
  split_pieces(plan.pieces, groups, threads);

  call.set_none();

  most *= together;
  const int64_t tasks = int64_t(plan.pieces.size()) * groups;
  threads = int(std::min<int64_t>({threads, std::max<int64_t>(1, room / std::max<int64_t>(1, most)),
                                   std::max<int64_t>(1, tasks)}));
  const int64_t scratch = kernels.scratch_bytes(plan.most);
  const Workspace memory(bytes_of(most + scratch, threads));
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const SumPiece& piece = plan.pieces[task / groups];
    const int64_t first = task % groups * together;
    void* const packed = memory.at(worker * (most + scratch));
    void* const lists = memory.at(worker * (most + scratch) + most);
    const SumRegions regions = plan.regions(call, piece);
    const int64_t last = std::min(first + together, blocks);
    const auto channels = [&](int64_t from, int64_t to) {
      return int(std::min(to * kernels.lanes, call.channels) - from * kernels.lanes);
    };
    if (is_packed(piece)) {
      for (int64_t block = first; block < last; ++block)
        pack_block(call, kernels, piece.image, piece.box, block * kernels.lanes,
                   static_cast<char*>(packed) + (block - first) * bytes(piece.box));
      in_runs(regions.count, [&](int64_t begin, int64_t count) {
        kernels.read({packed, piece.box, channels(first, last)}, regions.part(begin, count),
                     call.pooled_from(first * kernels.lanes), lists);
      });
      return;
    }
    const Map map = call.maps.at(piece.image);
    for (int64_t block = first; block < last; ++block) {
      const int64_t channel = block * kernels.lanes;
      const char* const start = map.start + channel * map.strides.channel * size_of(call.dtype);
      in_runs(regions.count, [&](int64_t begin, int64_t count) {
        kernels.read_map({start, map.height, map.width, map.strides}, channels(block, block + 1),
                         regions.part(begin, count), call.pooled_from(channel), lists);
      });
    }
  });
  return true;
}

}  // namespace roipool
