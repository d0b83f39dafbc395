# SPDX-License-Identifier: Apache-2.0
# nvcc for A100-class (sm_80) and H100-class (sm_90a) GPUs, the runtime linked statically.
set(CMAKE_CUDA_ARCHITECTURES OFF)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
enable_language(CUDA)
# CMake before 3.26 does not know what nvcc 13 can do.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit REQUIRED)

# tokenworks_cuda_target(TARGET): flags of a library of .cu files.
function(tokenworks_cuda_target target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:
    -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a -O3 -lineinfo -Xptxas=-v>)
  target_link_libraries(${target} PUBLIC CUDA::cudart_static)
endfunction()
