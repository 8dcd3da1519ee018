// The few entries of ONNX Runtime's C interface that this folder uses, for machines that have the runtime's library but
// not its header. Names and signatures are those of the vendor's onnxruntime_c_api.h, which is taken where there is one.
//
// OrtApi is a table of functions to which every release only appends, so a function keeps its place for ever. The
// runtime asserts the places 101 (ReleaseCustomOpDomain) and 118 (ReleaseModelMetadata) itself.
// Source: include/onnxruntime/core/session/onnxruntime_c_api.h and core/session/onnxruntime_c_api.cc of ONNX Runtime.
#ifndef XEC_ONNXRUNTIME_ENTRIES_H
#define XEC_ONNXRUNTIME_ENTRIES_H

#if !defined(XEC_NO_VENDOR_HEADER) && __has_include(<onnxruntime_c_api.h>)
#include <onnxruntime_c_api.h>
#elif !defined(XEC_NO_VENDOR_HEADER) && __has_include(<onnxruntime/onnxruntime_c_api.h>)
#include <onnxruntime/onnxruntime_c_api.h>
#elif !defined(XEC_NO_VENDOR_HEADER) && __has_include(<onnxruntime/core/session/onnxruntime_c_api.h>)
#include <onnxruntime/core/session/onnxruntime_c_api.h>
#else

#include <cstddef>
#include <cstdint>

extern "C" {

// The newest entry used is of version 2; the runtime answers with the same table for every version that it knows.
#define ORT_API_VERSION 2

struct OrtAllocator;
struct OrtEnv;
struct OrtMemoryInfo;
struct OrtModelMetadata;
struct OrtRunOptions;
struct OrtSession;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_ERROR = 3 };
enum OrtAllocatorType { OrtDeviceAllocator = 0 };
enum OrtMemType { OrtMemTypeDefault = 0 };
enum ONNXTensorElementDataType { ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL = 9 };

struct OrtApi {
  void* places_0_1[2];
  const char* (*GetErrorMessage)(const OrtStatus*);                                                    // 2
  OrtStatus* (*CreateEnv)(OrtLoggingLevel, const char*, OrtEnv**);                                     // 3
  void* places_4_6[3];
  OrtStatus* (*CreateSession)(const OrtEnv*, const char*, const OrtSessionOptions*, OrtSession**);     // 7
  void* place_8;
  OrtStatus* (*Run)(OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*, std::size_t,
                    const char* const*, std::size_t, OrtValue**);                                      // 9
  OrtStatus* (*CreateSessionOptions)(OrtSessionOptions**);                                             // 10
  void* places_11_23[13];
  OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int);                                         // 24
  void* places_25_29[5];
  OrtStatus* (*SessionGetInputCount)(const OrtSession*, std::size_t*);                                 // 30
  OrtStatus* (*SessionGetOutputCount)(const OrtSession*, std::size_t*);                                // 31
  void* place_32;
  OrtStatus* (*SessionGetInputTypeInfo)(const OrtSession*, std::size_t, OrtTypeInfo**);                // 33
  OrtStatus* (*SessionGetOutputTypeInfo)(const OrtSession*, std::size_t, OrtTypeInfo**);               // 34
  void* place_35;
  OrtStatus* (*SessionGetInputName)(const OrtSession*, std::size_t, OrtAllocator*, char**);            // 36
  OrtStatus* (*SessionGetOutputName)(const OrtSession*, std::size_t, OrtAllocator*, char**);           // 37
  void* places_38_48[11];
  OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void*, std::size_t, const std::int64_t*,
                                               std::size_t, ONNXTensorElementDataType, OrtValue**);    // 49
  void* places_50_54[5];
  OrtStatus* (*CastTypeInfoToTensorInfo)(const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**);       // 55
  void* places_56_59[4];
  OrtStatus* (*GetTensorElementType)(const OrtTensorTypeAndShapeInfo*, ONNXTensorElementDataType*);    // 60
  OrtStatus* (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo*, std::size_t*);                    // 61
  OrtStatus* (*GetDimensions)(const OrtTensorTypeAndShapeInfo*, std::int64_t*, std::size_t);           // 62
  void* places_63_68[6];
  OrtStatus* (*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo**);                    // 69
  void* places_70_75[6];
  OrtStatus* (*AllocatorFree)(OrtAllocator*, void*);                                                   // 76
  void* place_77;
  OrtStatus* (*GetAllocatorWithDefaultOptions)(OrtAllocator**);                                        // 78
  void* places_79_91[13];
  void (*ReleaseEnv)(OrtEnv*);                                                                         // 92
  void (*ReleaseStatus)(OrtStatus*);                                                                   // 93
  void (*ReleaseMemoryInfo)(OrtMemoryInfo*);                                                           // 94
  void (*ReleaseSession)(OrtSession*);                                                                 // 95
  void (*ReleaseValue)(OrtValue*);                                                                     // 96
  void* place_97;
  void (*ReleaseTypeInfo)(OrtTypeInfo*);                                                               // 98
  void* place_99;
  void (*ReleaseSessionOptions)(OrtSessionOptions*);                                                   // 100
  void* places_101_110[10];
  OrtStatus* (*SessionGetModelMetadata)(const OrtSession*, OrtModelMetadata**);                        // 111
  void* places_112_115[4];
  OrtStatus* (*ModelMetadataLookupCustomMetadataMap)(const OrtModelMetadata*, OrtAllocator*, const char*,
                                                     char**);                                          // 116
  void* place_117;
  void (*ReleaseModelMetadata)(OrtModelMetadata*);                                                     // 118
};

static_assert(offsetof(OrtApi, ReleaseSessionOptions) == 100 * sizeof(void*), "a place above is missing or too many");
static_assert(offsetof(OrtApi, ReleaseModelMetadata) == 118 * sizeof(void*), "a place above is missing or too many");

struct OrtApiBase {
  const OrtApi* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

const OrtApiBase* OrtGetApiBase();

}  // extern "C"

#endif
#endif
