#include "archive.hpp"

#include <caffe2/serialize/inline_container.h>

#include <sstream>

namespace repsim::bundle {

std::string without_debug_records(const std::string& archive) {
  std::istringstream stream(archive);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  std::string bytes;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return size;
  });
  writer.setMinVersion(reader.version());
  for (const std::string& name : reader.getAllRecords()) {
    // The writer makes its own version and identity records.
    if (name.ends_with(".debug_pkl") || name == "version" || name.starts_with(".data/")) continue;
    const auto [data, size] = reader.getRecord(name);
    writer.writeRecord(name, data.get(), size, /*compress=*/name.starts_with("code/"));
  }
  writer.writeEndOfFile();
  return bytes;
}

}  // namespace repsim::bundle
