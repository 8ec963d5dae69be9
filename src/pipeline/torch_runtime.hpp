#pragma once

#include <torch/script.h>

#include <optional>
#include <string>

/// What the pipeline sets of LibTorch: on what it computes, and with how many threads.
namespace repsim::pipeline {

inline constexpr int kMostGpus = 64;

/// "cpu", "cuda" (the first), "cuda:1". Nothing when it is not of this form.
[[nodiscard]] std::optional<at::Device> parse_device(const std::string& text);

/// What is wrong with another text, and what to write instead.
[[nodiscard]] std::string no_device(const std::string& text);
[[nodiscard]] std::string device_remedy();

/// The device of this name, with LibTorch set so that it computes the same in every run and rounds as float32 does.
/// @param text  as parse_device takes it
/// @throws Error{kUsage} where it is none, Error{kInput} where this LibTorch or this machine has no such device
[[nodiscard]] at::Device open_device(const std::string& text);

/// LibTorch's number of threads for as long as the object lives. Process-wide, put back.
class ThreadCount {
 public:
  explicit ThreadCount(int threads);
  ~ThreadCount();
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

}  // namespace repsim::pipeline
