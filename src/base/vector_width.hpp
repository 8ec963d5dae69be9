#pragma once

#include <cstdint>

/// Kernels that are compiled for several widths of vector registers; at run time the program takes the widest that the
/// CPU has. They use the compiler's vector types instead of the names of instructions. Results may differ between CPUs
/// in the last bits, never between runs on one CPU.
namespace repsim {

#if defined(__x86_64__) && defined(__GNUC__)
#define REPSIM_WIDE_REGISTERS 1
#define REPSIM_FOR_256_BITS __attribute__((target("avx2,fma")))
#define REPSIM_FOR_512_BITS __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#endif
/// Marks templates of kernels: they take the instruction set of the function that they are inlined into.
#define REPSIM_KERNEL inline __attribute__((always_inline))

/// `kWide` numbers as the compiler's vector type. It may alias any array of these numbers.
template <typename Number, int kWide>
struct Lanes {
  typedef Number Vector __attribute__((vector_size(kWide * sizeof(Number)), aligned(sizeof(Number)), may_alias));
};

enum class VectorWidth { k128Bits, k256Bits, k512Bits };

inline VectorWidth vector_width() {
#ifdef REPSIM_WIDE_REGISTERS
  static const VectorWidth kWidth = [] {
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (wide) return VectorWidth::k512Bits;
    const bool middle = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return middle ? VectorWidth::k256Bits : VectorWidth::k128Bits;
  }();
  return kWidth;
#else
  return VectorWidth::k128Bits;
#endif
}

}  // namespace repsim
