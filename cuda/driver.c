// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include "library.h"
#include "status.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/** What the software driver acts as where the URI asks for no profile. */
#define NEWEST_SOFT_PROFILE 13000

#define TEXT_OF(number) #number
#define VERSION_SUFFIX(major, minor) "." TEXT_OF(major) "." TEXT_OF(minor)

/** Names of the software driver: with the version that matches this library first. */
static const char *const soft_library_names[] = {
    "libsegue_soft.so" VERSION_SUFFIX(SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR),
    "libsegue_soft.so",
};

struct symbol {
    const char *name;
    int version;
    size_t offset_bytes;
    bool required;
};

static const struct symbol symbols[] = {
#define REQUIRED_SYMBOL(name, abi) {#name, abi, offsetof(struct segue_driver, name), true},
#define OPTIONAL_SYMBOL(name, abi) {#name, abi, offsetof(struct segue_driver, name), false},
    SEGUE_DRIVER_CALLS(REQUIRED_SYMBOL) SEGUE_DRIVER_OPTIONAL_CALLS(OPTIONAL_SYMBOL)
#undef REQUIRED_SYMBOL
#undef OPTIONAL_SYMBOL
};

/** A data pointer from dlsym or cuGetProcAddress, as the function pointer that it is. */
static void store_function(void *target, void *address)
{
    memcpy(target, &address, sizeof(address));
}

static segue_status open_libcuda(const struct segue_backend_open_params *params, void **out_library)
{
    struct segue_library_reason reason = {""};
    const char *path = segue_library_choose_path(params->params->libcuda_path, "SEGUE_LIBCUDA");
    void *library = segue_library_open(path != NULL ? path : "libcuda.so.1", &reason);
    if (library == NULL)
        return segue_fail(params->device, SEGUE_UNAVAILABLE,
                          "no NVIDIA driver: libcuda could not be loaded (%s); install the driver, "
                          "or give its path in libcuda_path or $SEGUE_LIBCUDA",
                          reason.text);
    *out_library = library;
    return SEGUE_OK;
}

/** Opens the software driver in `folder``below`, or by the loader's search path where both are
 *  empty. */
static void *open_soft_in(const char *folder, const char *below,
                          struct segue_library_reason *reason)
{
    for (size_t i = 0; i < sizeof(soft_library_names) / sizeof(soft_library_names[0]); i++) {
        char path[PATH_MAX];
        const int length =
            snprintf(path, sizeof(path), "%s%s%s", folder, below, soft_library_names[i]);
        if (length < 0 || (size_t)length >= sizeof(path))
            return NULL;
        void *library = segue_library_open(path, reason);
        if (library != NULL)
            return library;
    }
    return NULL;
}

static void *open_soft_by_search(struct segue_library_reason *reason)
{
    char folder[PATH_MAX];
    void *library = NULL;
    segue_library_own_folder(folder, sizeof(folder));
    if (folder[0] != '\0')
        library = open_soft_in(folder, "/", reason);
    if (library != NULL)
        return library;
    segue_library_program_folder(folder, sizeof(folder));
    if (folder[0] != '\0')
        library = open_soft_in(folder, "/../lib/", reason);
    return library != NULL ? library : open_soft_in("", "", reason);
}

static segue_status open_libsoft(const struct segue_backend_open_params *params, void **out_library)
{
    struct segue_library_reason reason = {""};
    const char *path = segue_library_choose_path(params->params->libsoft_path, "SEGUE_LIBSOFT");
    void *library = path != NULL ? segue_library_open(path, &reason) : open_soft_by_search(&reason);
    if (library == NULL)
        return segue_fail(params->device, SEGUE_UNAVAILABLE,
                          "the software driver (libsegue_soft.so) could not be loaded (%s); put it "
                          "beside Segue's library, or give its path in libsoft_path or "
                          "$SEGUE_LIBSOFT",
                          reason.text);
    *out_library = library;
    return SEGUE_OK;
}

/** Finds the software driver's controls and sets profile and seed. Must come before functions are
 *  resolved, because the profile decides which there are. */
static segue_status set_up_soft(const struct segue_backend_open_params *params,
                                struct segue_driver *driver)
{
    segue_soft_get_api_fn get_api = NULL;
    store_function(&get_api, dlsym(driver->library, SEGUE_SOFT_GET_API_SYMBOL));
    if (get_api == NULL)
        return segue_fail(params->device, SEGUE_UNAVAILABLE,
                          "the library loaded as software driver does not export "
                          "%s: it is not Segue's software driver",
                          SEGUE_SOFT_GET_API_SYMBOL);
    const struct segue_soft_api *api = get_api();
    if (api == NULL || api->version != SEGUE_SOFT_API_VERSION)
        return segue_fail(params->device, SEGUE_UNAVAILABLE,
                          "the software driver has control version %u, this library needs %u; "
                          "install both from the same build",
                          api != NULL ? api->version : 0, (unsigned)SEGUE_SOFT_API_VERSION);
    const int32_t profile = params->soft_profile != 0 ? params->soft_profile : NEWEST_SOFT_PROFILE;
    if (!api->set_profile(profile))
        return segue_fail(params->device, SEGUE_INVALID_ARGUMENT,
                          "the software driver has no profile %d.%d; use 12.4, 12.8 or 13.0",
                          profile / 1000, profile % 1000 / 10);
    api->set_seed(params->soft_seed);
    driver->soft = api;
    return SEGUE_OK;
}

static segue_status check_version(segue_device *device, PFN_cuGetProcAddress_v12000 resolve,
                                  struct segue_driver *driver)
{
    PFN_cuDriverGetVersion_v2020 get_version = NULL;
    void *address = NULL;
    CUresult result =
        resolve("cuDriverGetVersion", &address, 2020, CU_GET_PROC_ADDRESS_DEFAULT, NULL);
    int version = 0;
    if (result == CUDA_SUCCESS && address != NULL) {
        store_function(&get_version, address);
        result = get_version(&version);
    }
    if (result == CUDA_ERROR_STUB_LIBRARY)
        return segue_fail_driver(device, SEGUE_UNAVAILABLE, result,
                                 "the libcuda that was loaded is the CUDA toolkit's stub, which is "
                                 "only for linking; install the NVIDIA driver, or give the path of "
                                 "its libcuda.so.1");
    if (result != CUDA_SUCCESS || address == NULL)
        return segue_fail_driver(device, SEGUE_UNAVAILABLE, result,
                                 "the driver does not tell its version (CUresult %d)", (int)result);
    if (version < SEGUE_OLDEST_DRIVER)
        return segue_fail(device, SEGUE_UNAVAILABLE,
                          "the driver supports CUDA %d.%d; Segue needs a driver for CUDA %d.%d or "
                          "newer",
                          version / 1000, version % 1000 / 10, SEGUE_OLDEST_DRIVER / 1000,
                          SEGUE_OLDEST_DRIVER % 1000 / 10);
    driver->version = version;
    return SEGUE_OK;
}

static segue_status resolve_symbols(segue_device *device, struct segue_driver *driver)
{
    PFN_cuGetProcAddress_v12000 resolve = NULL;
    store_function(&resolve, dlsym(driver->library, "cuGetProcAddress_v2"));
    if (resolve == NULL)
        return segue_fail(device, SEGUE_UNAVAILABLE,
                          "the driver does not export cuGetProcAddress_v2: it is older than CUDA "
                          "12.0, or not a CUDA driver");
    segue_status status = check_version(device, resolve, driver);
    if (status != SEGUE_OK)
        return status;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        const struct symbol *symbol = &symbols[i];
        void *address = NULL;
        const CUresult result =
            resolve(symbol->name, &address, symbol->version, CU_GET_PROC_ADDRESS_DEFAULT, NULL);
        if (result != CUDA_SUCCESS)
            address = NULL;
        if (address == NULL && symbol->required)
            return segue_fail_driver(device, SEGUE_UNAVAILABLE, result,
                                     "the driver (CUDA %d.%d) lacks the function %s of CUDA %d.%d "
                                     "(CUresult %d)",
                                     driver->version / 1000, driver->version % 1000 / 10,
                                     symbol->name, symbol->version / 1000,
                                     symbol->version % 1000 / 10, (int)result);
        store_function((char *)driver + symbol->offset_bytes, address);
    }
    return SEGUE_OK;
}

segue_status segue_driver_load(const struct segue_backend_open_params *params,
                               struct segue_driver *out_driver)
{
    struct segue_driver driver = {0};
    segue_status status = params->soft ? open_libsoft(params, &driver.library)
                                       : open_libcuda(params, &driver.library);
    if (status != SEGUE_OK)
        return status;
    if (params->soft)
        status = set_up_soft(params, &driver);
    if (status == SEGUE_OK)
        status = resolve_symbols(params->device, &driver);
    if (status != SEGUE_OK) {
        segue_library_close(driver.library);
        return status;
    }
    *out_driver = driver;
    return SEGUE_OK;
}

void segue_driver_unload(struct segue_driver *driver)
{
    segue_library_close(driver->library);
    driver->library = NULL;
}
