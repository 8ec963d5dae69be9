#include "products.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "../base/vector_width.hpp"

namespace repsim::similarity {
namespace {

constexpr std::int64_t kLanes = 8;    // doubles of the widest vector: rows are padded to this
constexpr std::int64_t kTile = 4;     // rows of a tile, on either side
constexpr std::int64_t kDepth = 512;  // doubles per step: two tiles' rows stay in the first cache
constexpr std::int64_t kBlock = 128;  // rows per block: its rows of one step stay in the second cache

std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

/// out[i][j] += a_i . b_j for kTile rows of either side over `depth` doubles.
template <int kWide, int kColumns>
REPSIM_KERNEL void add_tile(const double* a, const double* b, std::int64_t stride, std::int64_t depth,
                            double (&out)[kTile][kTile]) {
  using Vector = typename Lanes<double, kWide>::Vector;
  for (int first = 0; first < kTile; first += kColumns) {
    Vector sums[kTile][kColumns] = {};
    for (std::int64_t k = 0; k < depth; k += kWide) {
      Vector right[kColumns];
      for (int j = 0; j < kColumns; ++j) right[j] = *reinterpret_cast<const Vector*>(b + (first + j) * stride + k);
      for (int i = 0; i < kTile; ++i) {
        const Vector left = *reinterpret_cast<const Vector*>(a + i * stride + k);
        for (int j = 0; j < kColumns; ++j) sums[i][j] += left * right[j];
      }
    }
    for (int i = 0; i < kTile; ++i) {
      for (int j = 0; j < kColumns; ++j) {
        double sum = 0;
        for (int lane = 0; lane < kWide; ++lane) sum += sums[i][j][lane];
        out[i][first + j] += sum;
      }
    }
  }
}

/// A part of the matrix of products: rows of `a` by rows of `b`, at most kBlock each.
struct Block {
  std::int64_t row = 0, rows = 0, col = 0, cols = 0;
};

/// Adds the products of a block to `sums`, which has kBlock columns.
template <int kWide, int kColumns>
REPSIM_KERNEL void add_block(const PaddedRows& a, const PaddedRows& b, const Block& block, double* sums) {
  for (std::int64_t k = 0; k < a.stride(); k += kDepth) {
    const std::int64_t depth = std::min(kDepth, a.stride() - k);
    for (std::int64_t i = 0; i < block.rows; i += kTile) {
      for (std::int64_t j = 0; j < block.cols; j += kTile) {
        double tile[kTile][kTile] = {};
        add_tile<kWide, kColumns>(a.row(block.row + i) + k, b.row(block.col + j) + k, a.stride(), depth, tile);
        for (int y = 0; y < kTile; ++y) {
          for (int x = 0; x < kTile; ++x) sums[(i + y) * kBlock + j + x] += tile[y][x];
        }
      }
    }
  }
}

using BlockKernel = void (*)(const PaddedRows&, const PaddedRows&, const Block&, double*);

void block_128(const PaddedRows& a, const PaddedRows& b, const Block& block, double* sums) {
  add_block<2, 2>(a, b, block, sums);
}
#ifdef REPSIM_WIDE_REGISTERS
REPSIM_FOR_256_BITS void block_256(const PaddedRows& a, const PaddedRows& b, const Block& block, double* sums) {
  add_block<4, 2>(a, b, block, sums);
}
REPSIM_FOR_512_BITS void block_512(const PaddedRows& a, const PaddedRows& b, const Block& block, double* sums) {
  add_block<8, 4>(a, b, block, sums);
}
#endif

BlockKernel kernel() {
#ifdef REPSIM_WIDE_REGISTERS
  if (vector_width() == VectorWidth::k512Bits) return block_512;
  if (vector_width() == VectorWidth::k256Bits) return block_256;
#endif
  return block_128;
}

}  // namespace

PaddedRows::PaddedRows(std::int64_t rows, std::int64_t length)
    : rows_(rows),
      stride_(round_up(length, kLanes)),
      values_(static_cast<std::size_t>(round_up(rows, kTile) * stride_), 0.0) {}

void inner_products(const PaddedRows& a, const PaddedRows& b, int threads, double* out) {
  const bool symmetric = &a == &b;
  const BlockKernel add = kernel();
  std::vector<Block> blocks;
  for (std::int64_t row = 0; row < a.rows(); row += kBlock) {
    for (std::int64_t col = symmetric ? row : 0; col < b.rows(); col += kBlock)
      blocks.push_back({row, std::min(kBlock, a.rows() - row), col, std::min(kBlock, b.rows() - col)});
  }
  const auto work = [&](const Block& block) {
    std::vector<double> sums(static_cast<std::size_t>(kBlock * kBlock), 0.0);
    add(a, b, block, sums.data());
    for (std::int64_t i = 0; i < block.rows; ++i) {
      for (std::int64_t j = 0; j < block.cols; ++j) {
        const double sum = sums[static_cast<std::size_t>(i * kBlock + j)];
        out[(block.row + i) * b.rows() + block.col + j] = sum;
        if (symmetric) out[(block.col + j) * b.rows() + block.row + i] = sum;
      }
    }
  };
  std::atomic<std::size_t> next{0};
  const auto work_on = [&] {
    for (std::size_t block = next++; block < blocks.size(); block = next++) work(blocks[block]);
  };
  std::vector<std::thread> helpers;
  const int wanted = std::min(threads, static_cast<int>(blocks.size()));
  for (int i = 1; i < wanted; ++i) helpers.emplace_back(work_on);
  work_on();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace repsim::similarity
