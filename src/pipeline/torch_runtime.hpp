#pragma once

#include <torch/script.h>

#include <string>

/// What the pipeline sets of LibTorch: on what it computes, and with how many threads.
namespace repsim::pipeline {

/// The device of this name, with LibTorch set so that it computes the same in every run and rounds as float32 does.
/// @param text  as config::parse_device takes it
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
