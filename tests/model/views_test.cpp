// Tensors that are views of larger memory, or of memory that others look at.
#include "../../src/model/views.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

using testing::ElementsAre;

at::Tensor counted(std::int64_t elements) { return at::arange(elements, at::kFloat); }

std::int64_t memory_bytes(const at::Tensor& tensor) { return static_cast<std::int64_t>(tensor.storage().nbytes()); }

bool share_memory(const at::Tensor& a, const at::Tensor& b) {
  return a.storage().unsafeGetStorageImpl() == b.storage().unsafeGetStorageImpl();
}

/// What `separate` has to keep: values, sizes, and whether dimensions repeat elements.
void expect_same_values(const std::vector<at::Tensor>& tensors, const std::vector<at::Tensor>& before) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(at::equal(tensors[i], before[i])) << i;
    EXPECT_EQ(tensors[i].sizes(), before[i].sizes()) << i;
  }
}

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : tensors) result.push_back(tensor.clone(at::MemoryFormat::Contiguous));
  return result;
}

TEST(Views, OfOneTensorGetMemoryOfTheirOwn) {
  const at::Tensor whole = counted(100);
  const std::vector<at::Tensor> parts{whole.narrow(0, 10, 12).view({3, 4}), whole.narrow(0, 22, 8),
                                      whole.narrow(0, 60, 5)};
  const auto before = copies(parts);
  EXPECT_EQ(separate(parts, Steps::kKept), 4 * (100 - 12 - 8 - 5));
  expect_same_values(parts, before);
  EXPECT_EQ(memory_bytes(parts[0]), 48);
  EXPECT_EQ(memory_bytes(parts[1]), 32);
  EXPECT_FALSE(share_memory(parts[0], parts[1]));
}

TEST(Views, WithElementsInCommonShareMemory) {
  const at::Tensor whole = counted(100);
  const std::vector<at::Tensor> parts{whole.narrow(0, 10, 10), whole.narrow(0, 15, 10), whole.narrow(0, 40, 10)};
  const auto before = copies(parts);
  EXPECT_EQ(separate(parts, Steps::kDense), 4 * (100 - 15 - 10));
  expect_same_values(parts, before);
  EXPECT_TRUE(share_memory(parts[0], parts[1]));
  EXPECT_FALSE(share_memory(parts[0], parts[2]));
  parts[0][5] = -1;
  EXPECT_EQ(parts[1][0].item<float>(), -1);
}

TEST(Views, OfTheSameElementsAreOneMemory) {
  const at::Tensor whole = counted(64);
  const at::Tensor matrix = whole.narrow(0, 8, 12).view({3, 4});
  const std::vector<at::Tensor> parts{matrix, matrix.alias(), matrix.t()};
  const auto before = copies(parts);
  EXPECT_EQ(separate(parts, Steps::kDense), 4 * (64 - 12));
  expect_same_values(parts, before);
  EXPECT_TRUE(share_memory(parts[0], parts[1]));
  EXPECT_TRUE(share_memory(parts[0], parts[2]));
  EXPECT_THAT(parts[2].strides(), ElementsAre(1, 4));
}

TEST(Views, InStepsLoseTheGapsWhereThatIsAsked) {
  for (const Steps steps : {Steps::kKept, Steps::kDense}) {
    const at::Tensor matrix = counted(60).view({6, 10});
    const std::vector<at::Tensor> rows{matrix.slice(0, 0, 6, 2)}, columns{counted(60).view({6, 10}).narrow(1, 2, 3)};
    const auto rows_before = copies(rows), columns_before = copies(columns);
    (void)separate(rows, steps);
    (void)separate(columns, steps);
    expect_same_values(rows, rows_before);
    expect_same_values(columns, columns_before);
    EXPECT_EQ(memory_bytes(rows[0]), steps == Steps::kDense ? 4 * 30 : 4 * 50);
    EXPECT_EQ(memory_bytes(columns[0]), steps == Steps::kDense ? 4 * 18 : 4 * 53);
  }
}

TEST(Views, OfColumnsOfOneMatrixAreApart) {
  const at::Tensor matrix = counted(60).view({6, 10});
  const std::vector<at::Tensor> parts{matrix.narrow(1, 0, 4), matrix.narrow(1, 4, 6)};
  const auto before = copies(parts);
  EXPECT_EQ(separate(parts, Steps::kDense), 0);
  expect_same_values(parts, before);
  EXPECT_FALSE(share_memory(parts[0], parts[1]));
}

TEST(Views, ThatRepeatElementsStoreThemOnce) {
  const at::Tensor row = counted(30).narrow(0, 5, 4);
  const std::vector<at::Tensor> parts{row.expand({3, 4}), counted(7)[2].expand({16})};
  const auto before = copies(parts);
  (void)separate(parts, Steps::kDense);
  expect_same_values(parts, before);
  EXPECT_EQ(memory_bytes(parts[0]), 16);
  EXPECT_EQ(memory_bytes(parts[1]), 4);
  EXPECT_THAT(parts[0].strides(), ElementsAre(0, 1));
}

TEST(Views, KeepTheOrderOfTheirDimensions) {
  const at::Tensor last = at::rand({8, 6, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const std::vector<at::Tensor> parts{last.slice(0, 0, 8, 2)};
  const auto before = copies(parts);
  (void)separate(parts, Steps::kDense);
  expect_same_values(parts, before);
  EXPECT_TRUE(parts[0].is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_EQ(memory_bytes(parts[0]), 4 * 4 * 6 * 9);
}

TEST(Views, OfAnyKindStayAsTheyAre) {
  const at::Tensor window = counted(20).as_strided({5, 4}, {2, 1}, 3), empty = counted(20).narrow(0, 4, 0),
                   bytes = counted(20).narrow(0, 3, 5).view(at::kByte), scalar = counted(20)[7];
  const std::vector<at::Tensor> parts{window,
                                      empty,
                                      bytes,
                                      scalar,
                                      at::zeros({}),
                                      at::rand({2, 3}).to_sparse(),
                                      at::quantize_per_tensor(counted(8), 1, 0, at::kQInt8).narrow(0, 2, 3)};
  const at::Tensor quantised = parts.back().clone();
  const std::vector<at::Tensor> dense(parts.begin(), parts.begin() + 5);
  const auto before = copies(dense);
  (void)separate(parts, Steps::kDense);
  expect_same_values(dense, before);
  EXPECT_EQ(memory_bytes(window), 4 * 12);
  EXPECT_EQ(memory_bytes(bytes), 20);
  EXPECT_EQ(memory_bytes(scalar), 4);
  EXPECT_TRUE(at::equal(parts.back().int_repr(), quantised.int_repr()));
  EXPECT_EQ(memory_bytes(parts.back()), 3);
}

TEST(Views, OfSeveralTypesInOneMemoryKeepTheirValues) {
  const at::Tensor whole = counted(40);
  const std::vector<at::Tensor> parts{whole.narrow(0, 3, 5).view(at::kByte).narrow(0, 1, 6), whole.narrow(0, 3, 2),
                                      whole.narrow(0, 20, 4).view(at::kDouble)};
  const auto before = copies(parts);
  (void)separate(parts, Steps::kDense);
  for (std::size_t i = 0; i < parts.size(); ++i)
    EXPECT_EQ(
        std::memcmp(parts[i].contiguous().const_data_ptr(), before[i].contiguous().const_data_ptr(), parts[i].nbytes()),
        0);
}

/// Writes element by element: Torch's operations refuse tensors that repeat elements.
void write(const at::Tensor& matrix, const std::function<float(std::int64_t, std::int64_t)>& value) {
  auto elements = matrix.accessor<float, 2>();
  for (std::int64_t row = 0; row < matrix.size(0); ++row)
    for (std::int64_t column = 0; column < matrix.size(1); ++column) elements[row][column] = value(row, column);
}

/// Random views of one tensor against what they showed before.
TEST(Views, DrawnAtRandomKeepTheirValuesAndTheirNeighbours) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    test::Random random(seed);
    const at::Tensor whole = counted(120);
    std::vector<at::Tensor> parts;
    for (std::int64_t i = 0; i < 1 + random.below(5); ++i) {
      const std::int64_t rows = 1 + random.below(4), columns = 1 + random.below(5);
      const std::int64_t row = random.below(12), column = random.below(4);
      const std::int64_t last = (rows - 1) * row + (columns - 1) * column;
      parts.push_back(whole.as_strided({rows, columns}, {row, column}, random.below(120 - last)));
    }
    const auto before = copies(parts);
    (void)separate(parts, random.below(2) == 0 ? Steps::kKept : Steps::kDense);
    expect_same_values(parts, before);
    // A write shows in the others as it did before.
    for (std::size_t written = 0; written < parts.size(); ++written) {
      write(parts[written], [](std::int64_t, std::int64_t) { return -1.0F; });
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const at::Tensor expected = at::where(at::isin(before[i], before[written]), at::full({1}, -1.0F), before[i]);
        EXPECT_TRUE(at::equal(parts[i], expected)) << "seed " << seed;
      }
      const auto own = before[written].accessor<float, 2>();
      write(parts[written], [&](std::int64_t row, std::int64_t column) { return own[row][column]; });
    }
  }
}

TEST(CopyOf, KeepsViewsAndSharesNoMemory) {
  torch::jit::Module module("__torch__.M");
  const at::Tensor whole = counted(12), part = whole.narrow(0, 2, 4), wide = counted(1).expand({3});
  module.register_buffer("whole", whole);
  module.register_buffer("part", part);
  module.register_buffer("wide", wide);
  const torch::jit::Module copy = copy_of(module);
  const at::Tensor copied = copy.attr("whole").toTensor(), copied_part = copy.attr("part").toTensor();
  copied_part.fill_(-1);
  EXPECT_EQ(copied[2].item<float>(), -1);
  EXPECT_EQ(whole[2].item<float>(), 2);
  EXPECT_EQ(memory_bytes(copied), 48);
  EXPECT_THAT(copy.attr("wide").toTensor().strides(), ElementsAre(0));
}

}  // namespace
}  // namespace repsim::model
