// Pickles that Torch would read beyond their end.
#include "../../../src/model/plain/pickle.hpp"

#include <gtest/gtest.h>

#include <string>

namespace repsim::model {
namespace {

using namespace std::string_literals;

// Every operation with an argument, then the end.
const std::string kWhole = "\x80\x02(K\x01M\x01\x02J\x01\x02\x03\x04\x8a\x02\x01\x02X\x03\x00\x00\x00"s +
                           "abcG\x00\x00\x00\x00\x00\x00\x00\x00q\x00h\x00r\x01\x00\x00\x00j\x01\x00\x00\x00"s +
                           "c__torch__\nM\n)\x81}t."s;

TEST(Pickle, IsWholeWithAllItsOperations) { EXPECT_TRUE(is_whole_pickle(kWhole)); }

TEST(Pickle, IsNotWholeWhereverItIsCut) {
  for (std::size_t size = 0; size < kWhole.size(); ++size)
    EXPECT_FALSE(is_whole_pickle(kWhole.substr(0, size))) << size;
}

TEST(Pickle, MayHaveMoreBehindItsEnd) { EXPECT_TRUE(is_whole_pickle(kWhole + "c__torch__")); }

TEST(Pickle, IsNotWholeIfATextIsLongerThanTheRest) {
  EXPECT_FALSE(is_whole_pickle("X\xff\xff\xff\xff."s));
  EXPECT_FALSE(is_whole_pickle("X\x05\x00\x00\x00."s));
  EXPECT_FALSE(is_whole_pickle("\x8a\xff."s));
}

TEST(Pickle, IsRefusedIfAValueIsRememberedUnderALargeNumber) {
  EXPECT_TRUE(is_whole_pickle("Nr\x05\x00\x00\x00."s));
  EXPECT_FALSE(is_whole_pickle("Nr\xff\xff\xff\x7f."s));
}

}  // namespace
}  // namespace repsim::model
