// Prints what the reader of zip directories says of each file that stdin names, one JSON object per file: for a test
// that compares it with another reader (zip_differential.py).
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "../../src/model/plain/zip_directory.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"

namespace {

repsim::Json listing_of(const std::string& path) {
  using namespace repsim;
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  Json records = Json::array();
  try {
    for (const model::ZipRecord& record : model::read_zip_directory(bytes, path)) {
      Json one{{"name", escape_bytes(record.name)}, {"bytes", record.unpacked_bytes}, {"crc32", record.crc32}};
      if (!record.deflated) one["content"] = sha256(model::stored_bytes(bytes, record, path));
      records.push_back(one);
    }
  } catch (const Error& error) {
    return {{"refused", escape_bytes(error.problem())}};
  }
  return {{"records", records}};
}

}  // namespace

int main() {
  for (std::string path; std::getline(std::cin, path);) std::cout << listing_of(path).dump() << "\n";
}
