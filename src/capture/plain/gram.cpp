#include "gram.hpp"

#include <algorithm>
#include <array>

#include "../../base/vector_width.hpp"

namespace repsim::capture {
namespace {

constexpr std::int64_t kTile = 4;      // samples of a tile, on either side
constexpr std::int64_t kBlock = 4096;  // features read of a sample at a time, since samples lie far apart
constexpr std::int64_t kChunk = 256;   // features at a time of 16 samples: half of the first cache
constexpr std::int64_t kStride =
    kBlock + 16;  // between the block's rows: at a power of two they would evict each other
constexpr std::int64_t kMostTiles = kMostSamples / kTile;
constexpr std::int64_t kMostPairs = kMostTiles * (kMostTiles + 1) / 2;

/// Products of the chunk's rows a..a+3 with b..b+3, added to `sums` lane by lane.
template <int kWide, int kColumns>
REPSIM_KERNEL void add_tile(const float* a, const float* b, float (*sums)[kWide]) {
  using Vector = typename Lanes<float, kWide>::Vector;
  for (int first = 0; first < kTile; first += kColumns) {
    Vector tile[kTile][kColumns];
    for (int i = 0; i < kTile; ++i) {
      for (int j = 0; j < kColumns; ++j) tile[i][j] = *reinterpret_cast<const Vector*>(sums[i * kTile + first + j]);
    }
    for (std::int64_t k = 0; k < kChunk; k += kWide) {
      Vector right[kColumns];
      for (int j = 0; j < kColumns; ++j) right[j] = *reinterpret_cast<const Vector*>(b + (first + j) * kStride + k);
      for (int i = 0; i < kTile; ++i) {
        const Vector left = *reinterpret_cast<const Vector*>(a + i * kStride + k);
        for (int j = 0; j < kColumns; ++j) tile[i][j] += left * right[j];
      }
    }
    for (int i = 0; i < kTile; ++i) {
      for (int j = 0; j < kColumns; ++j) *reinterpret_cast<Vector*>(sums[i * kTile + first + j]) = tile[i][j];
    }
  }
}

/// Products of the chunk's rows a..a+3 with each other, each pair once and none with itself.
template <int kWide>
REPSIM_KERNEL void add_diagonal_tile(const float* a, float (*sums)[kWide]) {
  using Vector = typename Lanes<float, kWide>::Vector;
  Vector tile[kTile][kTile];
  for (int i = 0; i < kTile; ++i) {
    for (int j = i + 1; j < kTile; ++j) tile[i][j] = *reinterpret_cast<const Vector*>(sums[i * kTile + j]);
  }
  for (std::int64_t k = 0; k < kChunk; k += kWide) {
    Vector rows[kTile];
    for (int i = 0; i < kTile; ++i) rows[i] = *reinterpret_cast<const Vector*>(a + i * kStride + k);
    for (int i = 0; i < kTile; ++i) {
      for (int j = i + 1; j < kTile; ++j) tile[i][j] += rows[i] * rows[j];
    }
  }
  for (int i = 0; i < kTile; ++i) {
    for (int j = i + 1; j < kTile; ++j) *reinterpret_cast<Vector*>(sums[i * kTile + j]) = tile[i][j];
  }
}

/// Adds the sums over the lanes to the Gram matrix and clears the lanes. Only pairs of two different samples count.
template <int kWide>
void take_sums(float (*sums)[kWide], std::int64_t samples, GramPart& part) {
  const std::int64_t tiles = (samples + kTile - 1) / kTile;
  std::int64_t pair = 0;
  for (std::int64_t a = 0; a < tiles; ++a) {
    for (std::int64_t b = a; b < tiles; ++b, ++pair) {
      for (std::int64_t i = 0; i < kTile; ++i) {
        for (std::int64_t j = 0; j < kTile; ++j) {
          float* lanes = sums[(pair * kTile + i) * kTile + j];
          const std::int64_t row = a * kTile + i, col = b * kTile + j;
          double sum = 0;
          for (int lane = 0; lane < kWide; ++lane) sum += static_cast<double>(lanes[lane]);
          std::fill_n(lanes, kWide, 0.0F);
          if (row < col && col < samples) part.gram[row * samples + col] += sum;
        }
      }
    }
  }
}

/// Subtracts the mean over the samples from each sample of a chunk, and adds the mean's squares to part.mean_square.
template <int kWide>
REPSIM_KERNEL void centre(float* chunk, std::int64_t samples, GramPart& part) {
  using Vector = typename Lanes<float, kWide>::Vector;
  const float share = 1.0F / static_cast<float>(samples);
  Vector squares = {};
  for (std::int64_t k = 0; k < kChunk; k += kWide) {
    // Differences to one of the samples first: their mean keeps its digits beside a large common part.
    Vector common = *reinterpret_cast<const Vector*>(chunk + k);
    Vector mean = {};
    for (std::int64_t i = 0; i < samples; ++i) {
      Vector difference = *reinterpret_cast<const Vector*>(chunk + i * kStride + k) - common;
      *reinterpret_cast<Vector*>(chunk + i * kStride + k) = difference;
      mean += difference;
    }
    mean *= share;
    for (std::int64_t i = 0; i < samples; ++i) *reinterpret_cast<Vector*>(chunk + i * kStride + k) -= mean;
    common += mean;
    squares += common * common;
  }
  for (int lane = 0; lane < kWide; ++lane) part.mean_square += static_cast<double>(squares[lane]);
}

/// Adds the products of all pairs of samples over the features begin..end.
template <int kWide, int kColumns>
REPSIM_KERNEL void add_products(const float* first, std::int64_t stride, std::int64_t samples, std::int64_t begin,
                                std::int64_t end, GramPart& part) {
  const std::int64_t tiles = (samples + kTile - 1) / kTile;
  // Not cleared as a whole: most of it is written anyway, and clearing costs as much as a tenth of the products.
  alignas(64) float block[kMostSamples * kStride];
  std::fill(block + samples * kStride, block + tiles * kTile * kStride, 0.0F);
  alignas(64) float sums[kMostPairs * kTile * kTile][kWide] = {};
  for (std::int64_t at = begin; at < end; at += kBlock) {
    const std::int64_t size = std::min(kBlock, end - at), padded = (size + kChunk - 1) / kChunk * kChunk;
    for (std::int64_t i = 0; i < samples; ++i) {
      std::copy_n(first + i * stride + at, size, block + i * kStride);
      std::fill(block + i * kStride + size, block + i * kStride + padded, 0.0F);
    }
    for (std::int64_t begin_of_chunk = 0; begin_of_chunk < padded; begin_of_chunk += kChunk) {
      float* chunk = block + begin_of_chunk;
      centre<kWide>(chunk, samples, part);
      std::int64_t pair = 0;
      for (std::int64_t a = 0; a < tiles; ++a) {
        add_diagonal_tile<kWide>(chunk + a * kTile * kStride, &sums[pair++ * kTile * kTile]);
        for (std::int64_t b = a + 1; b < tiles; ++b, ++pair) {
          add_tile<kWide, kColumns>(chunk + a * kTile * kStride, chunk + b * kTile * kStride,
                                    &sums[pair * kTile * kTile]);
        }
      }
    }
    take_sums<kWide>(sums, samples, part);  // float32 sums run over one block
  }
}

void products_128(const float* first, std::int64_t stride, std::int64_t samples, std::int64_t begin, std::int64_t end,
                  GramPart& part) {
  add_products<4, 2>(first, stride, samples, begin, end, part);
}
#ifdef REPSIM_WIDE_REGISTERS
REPSIM_FOR_256_BITS void products_256(const float* first, std::int64_t stride, std::int64_t samples, std::int64_t begin,
                                      std::int64_t end, GramPart& part) {
  add_products<8, 2>(first, stride, samples, begin, end, part);
}
REPSIM_FOR_512_BITS void products_512(const float* first, std::int64_t stride, std::int64_t samples, std::int64_t begin,
                                      std::int64_t end, GramPart& part) {
  add_products<16, 4>(first, stride, samples, begin, end, part);
}
#endif

}  // namespace

GramPart centred_products(const float* first, std::int64_t stride, std::int64_t samples, std::int64_t begin,
                          std::int64_t end) {
  GramPart part;
  part.gram.assign(static_cast<std::size_t>(samples * samples), 0.0);
#ifdef REPSIM_WIDE_REGISTERS
  const VectorWidth width = vector_width();
  if (width == VectorWidth::k512Bits) {
    products_512(first, stride, samples, begin, end, part);
    return part;
  }
  if (width == VectorWidth::k256Bits) {
    products_256(first, stride, samples, begin, end, part);
    return part;
  }
#endif
  products_128(first, stride, samples, begin, end, part);
  return part;
}

}  // namespace repsim::capture
