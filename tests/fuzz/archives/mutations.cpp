#include "mutations.hpp"

#include <caffe2/serialize/inline_container.h>

#include <sstream>

#include "chance.hpp"
#include "repsim/base/hash.hpp"

namespace repsim::fuzz {

std::string little(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
  return bytes;
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text.append(part).append(between);
  return text;
}

void change_bytes(std::string& bytes, Chance& chance) {
  const std::size_t at = chance.below(bytes.size() + 1);
  switch (chance.below(5)) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.clear();
      break;
    case 2:
      bytes.insert(at, 1 + chance.below(16), static_cast<char>(chance.below(256)));
      break;
    default:
      for (std::size_t i = 0; i <= chance.below(8) && !bytes.empty(); ++i)
        bytes[chance.below(bytes.size())] = static_cast<char>(chance.below(256));
  }
}

namespace {

void change_content(const std::string& name, std::string& content, Chance& chance) {
  if (chance.one_in(12)) {
    change_bytes(content, chance);
  } else if (name.ends_with(".py")) {
    change_code(content, chance);
  } else if (name.ends_with("pkl")) {
    change_pickle(content, chance);
  } else {
    change_bytes(content, chance);
  }
}

void change_records(Records& records, const Records& other, Chance& chance) {
  std::vector<std::string> names, others;
  for (const auto& [name, content] : records) names.push_back(name);
  for (const auto& [name, content] : other) others.push_back(name);
  const std::string name = chance.of(names);
  switch (chance.below(5)) {
    case 0:
      if (records.size() > 1) records.erase(name);
      break;
    case 1:
      std::swap(records[name], records[chance.of(names)]);
      break;
    case 2: {
      const std::string& foreign = chance.of(others);
      records[foreign] = other.at(foreign);
      break;
    }
    case 3:
      records["code/" + chance.of(names)] = records[name];
      break;
    default:
      records[name] = other.at(chance.of(others));
  }
}

}  // namespace

Records records_of(const std::string& archive) {
  std::istringstream stream(archive);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  Records records;
  for (const std::string& name : reader.getAllRecords()) {
    const auto [data, size] = reader.getRecord(name);
    records[name] = std::string(static_cast<const char*>(data.get()), size);
  }
  return records;
}

std::string archive_of(const Records& records) {
  std::string file, directory;
  for (const auto& [short_name, content] : records) {
    const std::string name = "m/" + short_name;
    const std::string kind = little(0, 2) + little(0, 2) + little(0, 4);
    const std::string sums = little(crc32(content), 4) + little(content.size(), 4) + little(content.size(), 4);
    directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + kind + sums + little(name.size(), 2) + little(0, 8) +
                 little(0, 4) + little(file.size(), 4) + name;
    file += "PK\x03\x04" + little(20, 2) + kind + sums + little(name.size(), 2) + little(0, 2) + name + content;
  }
  return file + directory + "PK\x05\x06" + little(0, 4) + little(records.size(), 2) + little(records.size(), 2) +
         little(directory.size(), 4) + little(file.size(), 4) + little(0, 2);
}

Records mutated(const std::vector<Records>& seeds, std::uint64_t number) {
  Chance chance(number);
  Records records = chance.of(seeds);
  const std::size_t changes = chance.one_in(3) ? 2 + chance.below(3) : 1;
  for (std::size_t i = 0; i < changes; ++i) {
    if (chance.one_in(10)) {
      change_records(records, chance.of(seeds), chance);
      continue;
    }
    std::vector<std::string> names;  // code and pickles hold the structure: they are changed most
    for (const auto& [name, content] : records) {
      const bool structure = (name.starts_with("code/") && name.ends_with(".py")) || name == "data.pkl";
      names.insert(names.end(), structure ? 12 : name == "constants.pkl" || name == "traced_inputs.pkl" ? 3 : 1, name);
    }
    const std::string name = chance.of(names);
    change_content(name, records[name], chance);
  }
  return records;
}

}  // namespace repsim::fuzz
